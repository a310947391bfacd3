//! Names to make people of. All combinations are made up.

/// Names that go together: of one script and region.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) given: &'static [&'static str],
    pub(super) family: &'static [&'static str],
    pub(super) places: &'static [&'static str],
    /// Whether the family name comes first in the full name.
    pub(super) family_first: bool,
}

/// So many families times given names that two people of a batch rarely share a name, as in life.
pub(super) const NAMES: &[Names] = &[
    Names {
        given: &[
            "José", "Łucja", "Zoë", "Søren", "Íris", "Çağla", "Ngũgĩ", "Renée", "Jürgen", "Ağça",
        ],
        family: &[
            "Núñez",
            "Wiśniewski",
            "Müller",
            "Ångström",
            "Okonkwọ",
            "Şahin",
            "Dvořák",
            "Kõiv",
        ],
        places: &["Córdoba", "Łódź", "Malmö", "İzmir", "Ìbàdàn"],
        family_first: false,
    },
    Names {
        given: &["सीता", "अर्जुन", "कमला", "गोपाल", "लक्ष्मी", "राम", "मीना", "प्रकाश", "सुनीता", "हरि"],
        family: &["श्रेष्ठ", "शर्मा", "तामाङ", "वर्मा", "पटेल", "गुरुङ", "यादव", "थापा"],
        places: &["काठमाडौं", "वाराणसी", "पोखरा", "जयपुर", "धनगढी"],
        family_first: false,
    },
    Names {
        given: &["አበበ", "ሰላም", "ተስፋዬ", "ብርሃን", "ገነት", "ዳዊት", "ሂሩት", "መስፍን", "ትዕግስት", "ዮሐንስ"],
        family: &["በቀለ", "ከበደ", "ታደሰ", "ወልዴ", "ኃይሉ", "ደምሴ", "ገብሬ", "አለሙ"],
        places: &["አዲስ አበባ", "ባሕር ዳር", "ሐዋሳ", "መቐለ", "ጎንደር"],
        family_first: false,
    },
    Names {
        given: &["فاطمة", "يوسف", "أمينة", "خالد", "ليلى", "حسن", "مريم", "عمر", "زينب", "إبراهيم"],
        family: &["الحداد", "النجار", "العلي", "المصري", "الخوري", "بن صالح", "القاسم", "الشامي"],
        places: &["حلب", "الموصل", "تعز", "الإسكندرية", "طرابلس"],
        family_first: false,
    },
    Names {
        given: &["សុខា", "ស្រីមុំ", "វិចិត្រ", "ចន្ថា", "ដារា", "បុប្ផា", "រតនា", "ពិសិដ្ឋ", "កល្យាណ", "ធីតា"],
        family: &["ឈួន", "កែវ", "សុខ", "ម៉ៅ", "នួន", "អ៊ុំ", "ព្រំ", "លី"],
        places: &["ភ្នំពេញ", "បាត់ដំបង", "សៀមរាប", "កំពត", "ក្រចេះ"],
        family_first: true,
    },
    Names {
        given: &[
            "Айгуль",
            "Олексій",
            "Надежда",
            "Бахыт",
            "Ђорђе",
            "Гульнара",
            "Ярослав",
            "Милица",
            "Ўткир",
            "Зарина",
        ],
        family: &[
            "Шевченко",
            "Ахметова",
            "Ковалёв",
            "Стојановић",
            "Бекова",
            "Юлдошев",
            "Їжак",
            "Соколов",
        ],
        places: &["Алматы", "Київ", "Ниш", "Самарқанд", "Казань"],
        family_first: false,
    },
];
