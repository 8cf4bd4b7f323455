//! What is tracked, and what it does to a priority.

use super::number::integer;
use crate::keepalived::field::{Args, Bad, Words};

/// A weight from `-LIMIT` to `LIMIT`, perhaps the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Weight<const LIMIT: i64> {
    /// What is added to or taken from the priority; 0 means that a failure is a fault.
    pub value: i64,
    /// True if success counts as failure and the other way round.
    pub reverse: bool,
}

impl<const LIMIT: i64> Words for Weight<LIMIT> {
    fn syntax() -> String {
        format!("WEIGHT (-{LIMIT}…{LIMIT}) [reverse]")
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a weight")?;
        let value = integer(&word.text, -LIMIT, LIMIT).map_err(|text| Bad::new(word.span, text))?;
        let reverse = args.take("reverse");
        if !reverse {
            let _ = args.take("noreverse") || args.take("no_reverse");
        }
        Ok(Self { value, reverse })
    }

    fn words(&self) -> Vec<String> {
        let reverse = self.reverse.then(|| "reverse".to_owned());
        std::iter::once(self.value.to_string()).chain(reverse).collect()
    }
}

/// Something that is tracked, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tracked<const LIMIT: i64> {
    /// Its name.
    pub name: String,
    /// Its weight here; none is that of what is tracked.
    pub weight: Option<Weight<LIMIT>>,
}

impl<const LIMIT: i64> Words for Tracked<LIMIT> {
    fn syntax() -> String {
        format!("NAME [weight {}]", Weight::<LIMIT>::syntax())
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let name = args.need("a name")?.text.clone();
        let weight = if args.take("weight") { Some(Weight::parse(args)?) } else { None };
        Ok(Self { name, weight })
    }

    fn words(&self) -> Vec<String> {
        let weight = self.weight.iter().flat_map(|weight| std::iter::once("weight".to_owned()).chain(weight.words()));
        std::iter::once(self.name.clone()).chain(weight).collect()
    }
}

/// What a tracked file is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileInit {
    /// The value written to it, 0 if none.
    pub value: Option<i64>,
    /// True if a file that is there is written anew.
    pub overwrite: bool,
}

impl Words for FileInit {
    fn syntax() -> String {
        "[VALUE] [overwrite]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut init = Self::default();
        while let Some(word) = args.word() {
            if word.text == "overwrite" {
                init.overwrite = true;
            } else {
                let value = integer(&word.text, i64::from(i32::MIN), i64::from(i32::MAX));
                init.value = Some(value.map_err(|text| Bad::new(word.span, text))?);
            }
        }
        Ok(init)
    }

    fn words(&self) -> Vec<String> {
        let overwrite = self.overwrite.then(|| "overwrite".to_owned());
        self.value.map(|value| value.to_string()).into_iter().chain(overwrite).collect()
    }
}
