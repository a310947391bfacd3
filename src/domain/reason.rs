//! Reason codes: stable strings that senders branch on.

/// Why something was refused, or how it succeeded. The string form is part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is its code; the codes' pages say what they mean")]
pub enum Reason {
    ProgramNotFound,
    ProgramEnded,
    ProgramTargetTypeMismatch,
    RegistrantUnnamed,
    RegistrantNotFound,
    RegistrantAmbiguous,
    RegistrantDisabled,
    RegistrantIdentityConflict,
    RegistrantKindMismatch,
    MembershipNotFound,
    MembershipAlreadyEnrolled,
    StateTransitionInvalid,
    EnrollmentDateInvalid,
    ExitDateInvalid,
    VersionConflict,
    MessageIdReused,
    RequestExpired,
    FieldInvalid,
    FieldUnsupported,
    GroupMemberDuplicate,
    GroupHeadNotUnique,
    GroupMemberDatesInvalid,
    GroupSelfMember,
    RequestAtomic,
    RequestDiscarded,
    MembershipChanged,
    MembershipUnchanged,
    RegistrantChanged,
}

impl Reason {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 28] = [
        Self::ProgramNotFound,
        Self::ProgramEnded,
        Self::ProgramTargetTypeMismatch,
        Self::RegistrantUnnamed,
        Self::RegistrantNotFound,
        Self::RegistrantAmbiguous,
        Self::RegistrantDisabled,
        Self::RegistrantIdentityConflict,
        Self::RegistrantKindMismatch,
        Self::MembershipNotFound,
        Self::MembershipAlreadyEnrolled,
        Self::StateTransitionInvalid,
        Self::EnrollmentDateInvalid,
        Self::ExitDateInvalid,
        Self::VersionConflict,
        Self::MessageIdReused,
        Self::RequestExpired,
        Self::FieldInvalid,
        Self::FieldUnsupported,
        Self::GroupMemberDuplicate,
        Self::GroupHeadNotUnique,
        Self::GroupMemberDatesInvalid,
        Self::GroupSelfMember,
        Self::RequestAtomic,
        Self::RequestDiscarded,
        Self::MembershipChanged,
        Self::MembershipUnchanged,
        Self::RegistrantChanged,
    ];

    /// The code as it stands in results, problem documents and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ProgramNotFound => "rjct.program.not_found",
            Self::ProgramEnded => "rjct.program.ended",
            Self::ProgramTargetTypeMismatch => "rjct.program.target_type_mismatch",
            Self::RegistrantUnnamed => "rjct.registrant.unnamed",
            Self::RegistrantNotFound => "rjct.registrant.not_found",
            Self::RegistrantAmbiguous => "rjct.registrant.ambiguous",
            Self::RegistrantDisabled => "rjct.registrant.disabled",
            Self::RegistrantIdentityConflict => "rjct.registrant.identity_conflict",
            Self::RegistrantKindMismatch => "rjct.registrant.kind_mismatch",
            Self::MembershipNotFound => "rjct.membership.not_found",
            Self::MembershipAlreadyEnrolled => "rjct.membership.already_enrolled",
            Self::StateTransitionInvalid => "rjct.state_transition.invalid",
            Self::EnrollmentDateInvalid => "rjct.enrollment_date.invalid",
            Self::ExitDateInvalid => "rjct.exit_date.invalid",
            Self::VersionConflict => "rjct.version.conflict",
            Self::MessageIdReused => "rjct.message_id.reused",
            Self::RequestExpired => "rjct.request.expired",
            Self::FieldInvalid => "rjct.field.invalid",
            Self::FieldUnsupported => "rjct.field.unsupported",
            Self::GroupMemberDuplicate => "rjct.group.member_duplicate",
            Self::GroupHeadNotUnique => "rjct.group.head_not_unique",
            Self::GroupMemberDatesInvalid => "rjct.group.member_dates_invalid",
            Self::GroupSelfMember => "rjct.group.self_member",
            Self::RequestAtomic => "rjct.request.atomic",
            Self::RequestDiscarded => "rjct.request.discarded",
            Self::MembershipChanged => "succ.membership.changed",
            Self::MembershipUnchanged => "succ.membership.unchanged",
            Self::RegistrantChanged => "succ.registrant.changed",
        }
    }

    /// What it means, in words for whoever sent the request. Never names a value of a person.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::ProgramNotFound => {
                "no program has this code; import it first, then send the request with a greater attempt"
            }
            Self::ProgramEnded => {
                "the program has ended: nobody can be enrolled, resumed or re-enrolled in it"
            }
            Self::ProgramTargetTypeMismatch => "the program is not for registrants of this kind",
            Self::RegistrantUnnamed => "the registrant has neither a reference nor an identifier",
            Self::RegistrantNotFound => "no registrant has this reference or identifier",
            Self::RegistrantAmbiguous => "the identifiers belong to different registrants",
            Self::RegistrantDisabled => {
                "the registrant is disabled and cannot be enrolled, resumed or re-enrolled"
            }
            Self::RegistrantIdentityConflict => {
                "the reference and the identifiers do not belong to one registrant"
            }
            Self::RegistrantKindMismatch => "the registrant is known as one of the other kind",
            Self::MembershipNotFound => "the registrant has no membership in this program",
            Self::MembershipAlreadyEnrolled => {
                "the registrant is already a member, with another enrollment date"
            }
            Self::StateTransitionInvalid => "the membership's state does not allow this",
            Self::EnrollmentDateInvalid => {
                "the enrollment date is too far in the future or does not fit the membership"
            }
            Self::ExitDateInvalid => {
                "the exit date is too far in the future or does not fit the membership"
            }
            Self::VersionConflict => "the membership has another version than expected",
            Self::MessageIdReused => "this message_id was used by this source for other content",
            Self::RequestExpired => {
                "sent before the inbox begins: whether it was applied can no longer be known"
            }
            Self::FieldInvalid => "the value does not fit the field",
            Self::FieldUnsupported => "this field is not used here",
            Self::GroupMemberDuplicate => "the same individual stands twice among the members",
            Self::GroupHeadNotUnique => "a group has one Head at most",
            Self::GroupMemberDatesInvalid => "the member's dates do not fit",
            Self::GroupSelfMember => "a group cannot be its own member",
            Self::RequestAtomic => "another item of the atomic request was refused",
            Self::RequestDiscarded => "an operator discarded the request",
            Self::MembershipChanged => "the membership was changed",
            Self::MembershipUnchanged => "the membership already was so",
            Self::RegistrantChanged => "the registrant was changed",
        }
    }
}
