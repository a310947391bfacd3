//! The fingerprint of a request's content (P7): what decides whether the same id says the same thing again.

use super::decode::Request;
use super::wire::{
    Day, EnrollmentRequest, GroupMember, GroupMembershipRequest, MembershipUpdateRequest,
    ProgramMembershipIn, RegistrantInfo, RegistrantRef,
};
use sha2::{Digest as _, Sha256};

/// The version of the algorithm below: the first byte of every fingerprint. A change of the canonical form takes a
/// new number, and fingerprints of another number never count as other content.
pub const ALGORITHM: u8 = 1;

/// The hash of a request's content, first byte the version of the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentFingerprint(pub [u8; 33]);

impl ContentFingerprint {
    /// The fingerprint of what `request` asks for: absent and default fields are left out, as are `message_id`,
    /// `sent_at`, `batch`, `attempt` and headers.
    pub fn of(request: &Request) -> Self {
        Form::of(request, actor(request)).finish()
    }

    /// Whether two fingerprints say that the content differs.
    pub fn differs(&self, stored: &[u8]) -> bool {
        stored.first() == Some(&ALGORITHM) && stored != self.0
    }
}

/// What tells whether a request says the same thing again, whichever way it comes. Over HTTP the actor is the token's
/// and no part of the content: the same request said by somebody else of the same source is the same request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// What is stored, and compared first.
    pub fingerprint: ContentFingerprint,
    /// The same with the actor where `fingerprint` is without, and without where it is with; none if there is no actor.
    other: Option<ContentFingerprint>,
    by_http: bool,
}

impl Content {
    /// Of a request that came so.
    pub fn of(request: &Request, by_http: bool) -> Self {
        let whole = ContentFingerprint::of(request);
        let bare = actor(request).map(|_| Form::of(request, None).finish());
        match bare {
            Some(bare) if by_http => Self { fingerprint: bare, other: Some(whole), by_http },
            other => Self { fingerprint: whole, other, by_http },
        }
    }

    /// Whether it is other content than what is stored. The actor counts where both came over Kafka.
    pub fn differs(&self, stored: &[u8], stored_by_http: bool) -> bool {
        let other = self.other.filter(|_| self.by_http || stored_by_http);
        self.fingerprint.differs(stored) && other.is_none_or(|other| other.differs(stored))
    }
}

/// Who acts, as the request says it.
pub(super) fn actor(request: &Request) -> Option<&String> {
    match request {
        Request::Enrollment(request) => request.actor.as_ref(),
        Request::Update(request) => request.actor.as_ref(),
        Request::Group(request) => request.actor.as_ref(),
    }
}

/// The canonical form: `name length value` for every field that is there, in the order of the schema.
struct Form(Vec<u8>);

impl Form {
    fn of(request: &Request, actor: Option<&String>) -> Self {
        let mut form = Self(Vec::with_capacity(512));
        match request {
            Request::Enrollment(request) => form.enrollment(request, actor),
            Request::Update(request) => form.update(request, actor),
            Request::Group(request) => form.group(request, actor),
        }
        form
    }

    fn finish(self) -> ContentFingerprint {
        let mut bytes = [ALGORITHM; 33];
        bytes[1..].copy_from_slice(&Sha256::digest(&self.0));
        ContentFingerprint(bytes)
    }

    fn field(&mut self, name: &str, value: &[u8]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
        self.0.extend_from_slice(&(value.len() as u64).to_be_bytes());
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.field(name, value.as_bytes());
        }
    }

    fn day(&mut self, name: &str, value: Option<Day>) {
        if let Some(Day(days)) = value {
            self.field(name, &days.to_be_bytes());
        }
    }

    fn symbol(&mut self, name: &str, value: impl std::fmt::Debug) {
        self.field(name, format!("{value:?}").as_bytes());
    }

    fn flag(&mut self, name: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.field(name, &[u8::from(value)]);
        }
    }

    /// Each element as a form of its own, so that no two lists have the same bytes.
    fn each<T>(&mut self, name: &str, elements: &[T], form: impl Fn(&mut Self, &T)) {
        for element in elements {
            let mut inner = Self(Vec::new());
            form(&mut inner, element);
            self.field(name, &inner.0);
        }
    }

    fn enrollment(&mut self, request: &EnrollmentRequest, actor: Option<&String>) {
        self.field("type", b"EnrollmentRequest");
        self.field("source", request.source.as_bytes());
        self.text("actor", actor);
        self.flag("atomic", request.atomic.then_some(true));
        self.info(&request.registrant, &request.source);
        self.each("program_memberships", &request.program_memberships, Self::membership);
    }

    fn update(&mut self, request: &MembershipUpdateRequest, actor: Option<&String>) {
        self.field("type", b"MembershipUpdateRequest");
        self.field("source", request.source.as_bytes());
        self.text("actor", actor);
        self.reference(&request.registrant, &request.source);
        self.field("program", request.program.as_bytes());
        self.symbol("action", request.action);
        self.day("enrollment_date", request.enrollment_date);
        self.day("exit_date", request.exit_date);
        self.day("effective_date", request.effective_date);
        if let Some(reason) = &request.reason {
            self.field("reason.code", reason.code.as_bytes());
            self.text("reason.note", reason.note.as_ref());
        }
        if let Some(version) = request.expected_version {
            self.field("expected_version", &version.to_be_bytes());
        }
    }

    fn group(&mut self, request: &GroupMembershipRequest, actor: Option<&String>) {
        self.field("type", b"GroupMembershipRequest");
        self.field("source", request.source.as_bytes());
        self.text("actor", actor);
        self.flag("atomic", request.atomic.then_some(true));
        self.info(&request.group, &request.source);
        self.symbol("mode", request.mode);
        let source = &request.source;
        self.each("members", &request.members, |form, member| form.member(member, source));
        self.each("program_memberships", &request.program_memberships, Self::membership);
    }

    fn member(&mut self, member: &GroupMember, source: &str) {
        self.info(&member.individual, source);
        if let Some(kinds) = &member.kinds {
            self.flag("kinds_given", Some(true));
            self.each("kinds", kinds, |form, kind| form.field("kind", kind.as_bytes()));
        }
        self.day("start_date", member.start_date);
        self.day("ended_date", member.ended_date);
        self.each("program_memberships", &member.program_memberships, Self::membership);
    }

    fn membership(&mut self, membership: &ProgramMembershipIn) {
        self.field("program", membership.program.as_bytes());
        if membership.state != super::wire::RequestedState::Enrolled {
            self.symbol("state", membership.state);
        }
        self.day("enrollment_date", membership.enrollment_date);
    }

    fn reference(&mut self, registrant: &RegistrantRef, source: &str) {
        self.text("source", registrant.source.as_ref().filter(|given| *given != source));
        self.text("reference", registrant.reference.as_ref());
        self.each("ids", &registrant.ids, |form, id| {
            form.field("id_type", id.id_type.as_bytes());
            form.field("value", id.value.as_bytes());
        });
    }

    fn info(&mut self, info: &RegistrantInfo, source: &str) {
        self.text("registrant.source", info.source.as_ref().filter(|given| *given != source));
        self.text("reference", info.reference.as_ref());
        self.each("ids", &info.ids, |form, id| {
            form.field("id_type", id.id_type.as_bytes());
            form.field("value", id.value.as_bytes());
            form.day("expiry_date", id.expiry_date);
        });
        self.symbol("kind", info.kind);
        self.text("name", info.name.as_ref());
        self.text("given_name", info.given_name.as_ref());
        self.text("family_name", info.family_name.as_ref());
        self.text("addl_name", info.addl_name.as_ref());
        self.text("gender", info.gender.as_ref());
        self.day("birthdate", info.birthdate);
        self.text("birth_place", info.birth_place.as_ref());
        self.text("email", info.email.as_ref());
        self.text("address", info.address.as_ref());
        self.day("registration_date", info.registration_date);
        self.text("payment_address", info.payment_address.as_ref());
        self.flag("disabled", info.disabled);
        self.each("phone_numbers", &info.phone_numbers, |form, phone| {
            form.field("phone_no", phone.phone_no.as_bytes());
            form.day("date_collected", phone.date_collected);
        });
        self.text("group_kind", info.group_kind.as_ref());
        self.flag("is_partial_group", info.is_partial_group);
        self.each("clear", &info.clear, |form, field| form.field("field", field.as_bytes()));
    }
}
