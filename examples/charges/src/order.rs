//! What shall be charged: the form that stripe's clients send.

use std::collections::BTreeMap;

use crate::refusal::Refusal;

/// The card that is always declined, by its name at stripe.
const DECLINED: &str = "tok_chargeDeclined";

/// What shall be charged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Order {
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) source: String,
    pub(crate) description: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Order {
    /// From a form. What it does not know, it reads over.
    pub(crate) fn read(form: Vec<(String, String)>) -> Result<Self, Refusal> {
        let mut order = Self::default();
        for (name, value) in form {
            match name.as_str() {
                "amount" => order.amount = amount(&value)?,
                "currency" => order.currency = value.to_ascii_lowercase(),
                "source" => order.source = value,
                "description" => order.description = Some(value),
                _ => {
                    if let Some(name) = nested("metadata", &name) {
                        order.metadata.insert(name.to_owned(), value);
                    }
                }
            }
        }
        let given = [("amount", order.amount != 0), ("currency", order.currency.len() == 3)];
        match given.into_iter().chain([("source", !order.source.is_empty())]).find(|(_, given)| !given) {
            Some((missing, _)) => Err(Refusal::parameter(missing, "is missing or not valid")),
            None => Ok(order),
        }
    }

    pub(crate) fn is_declined(&self) -> bool {
        self.source == DECLINED
    }
}

fn amount(value: &str) -> Result<i64, Refusal> {
    let amount = value.parse().ok().filter(|amount: &i64| *amount > 0);
    amount.ok_or_else(|| Refusal::parameter("amount", "must be a positive whole number"))
}

/// The `order` in `metadata[order]`.
fn nested<'a>(member: &str, name: &'a str) -> Option<&'a str> {
    name.strip_prefix(member)?.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &[(&str, &str)]) -> Result<Order, Refusal> {
        Order::read(form.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn a_form_with_nested_members_is_read() {
        let sent =
            [("amount", "2000"), ("currency", "USD"), ("source", "tok_visa"), ("expand[0]", "customer")];
        let order = read(&[&sent[..], &[("metadata[order]", "o-1")]].concat()).unwrap();
        assert_eq!((order.amount, &*order.currency, &*order.source), (2000, "usd", "tok_visa"));
        assert_eq!(order.metadata, BTreeMap::from([("order".to_owned(), "o-1".to_owned())]));
    }

    #[test]
    fn what_cannot_be_charged_is_refused() {
        assert!(read(&[("currency", "usd"), ("source", "tok_visa")]).is_err());
        for amount in ["0", "-5", "1.5", "many", ""] {
            assert!(read(&[("amount", amount), ("currency", "usd"), ("source", "tok_visa")]).is_err());
        }
        assert!(read(&[("amount", "5"), ("currency", "dollars"), ("source", "tok_visa")]).is_err());
        assert!(read(&[("amount", "5"), ("currency", "usd")]).is_err());
    }
}
