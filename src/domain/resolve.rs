//! Who is meant.

use super::{
    Fault, Meta, NameKey, Reason, RegistrantId, RegistrantInfo, RegistrantRef, overlay::Overlay,
};

/// Who a [`RegistrantInfo`] means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolved {
    /// Nobody yet: a new registrant.
    New,
    /// This one.
    Known(RegistrantId),
}

impl RegistrantInfo {
    /// The source of its reference.
    pub fn reference_source<'a>(&'a self, meta: &'a Meta) -> &'a str {
        self.source.as_deref().unwrap_or(&meta.source)
    }

    /// Every name that it mentions, reference first. Names in `clear` are by type only, so they are not among them.
    pub fn names<'a>(&'a self, meta: &'a Meta) -> impl Iterator<Item = NameKey> + 'a {
        let reference = self
            .reference
            .as_ref()
            .map(|reference| NameKey::reference(self.reference_source(meta), reference));
        reference
            .into_iter()
            .chain(self.ids.iter().map(|id| NameKey::identifier(&id.id_type, &id.value)))
    }

    /// Looks the reference and the identifiers up together. `at` is the pointer of this info in the request.
    pub(super) fn resolve(
        &self,
        at: &str,
        meta: &Meta,
        overlay: &Overlay<'_>,
    ) -> Result<Resolved, Fault> {
        if self.reference.is_none() && self.ids.is_empty() {
            return Err(Fault::at(at, Reason::RegistrantUnnamed));
        }
        let reference = self
            .reference
            .as_ref()
            .map(|reference| NameKey::reference(self.reference_source(meta), reference));
        let by_reference = reference.as_ref().and_then(|name| overlay.owner(name));
        let mut known = by_reference;
        for (index, id) in self.ids.iter().enumerate() {
            let owner = overlay.owner(&NameKey::identifier(&id.id_type, &id.value));
            match (known, owner) {
                (Some(known), Some(owner)) if known != owner => {
                    return Err(if by_reference.is_some() {
                        Fault::at(format!("{at}/ids/{index}"), Reason::RegistrantIdentityConflict)
                    } else {
                        Fault::at(format!("{at}/ids"), Reason::RegistrantAmbiguous)
                    });
                }
                (None, Some(_)) => known = owner,
                _ => {}
            }
        }
        let Some(known) = known else { return Ok(Resolved::New) };
        // Known by an identifier, and this source calls it something else already.
        if let (None, Some(reference)) = (by_reference, &reference)
            && overlay
                .person(known)
                .is_some_and(|registrant| registrant.references.contains_key(&reference.scope))
        {
            return Err(Fault::at(format!("{at}/reference"), Reason::RegistrantIdentityConflict));
        }
        Ok(Resolved::Known(known))
    }
}

impl RegistrantRef {
    /// Every name that it mentions, reference first.
    pub fn names<'a>(&'a self, meta: &'a Meta) -> impl Iterator<Item = NameKey> + 'a {
        let source = self.source.as_deref().unwrap_or(&meta.source);
        let reference =
            self.reference.as_ref().map(|reference| NameKey::reference(source, reference));
        reference
            .into_iter()
            .chain(self.ids.iter().map(|(id_type, value)| NameKey::identifier(id_type, value)))
    }
}
