//! The workflow `complete_cart`: its three steps between Medusa's four recovery points, and how they are taken back.

use std::time::Duration;

use workflow::{Atomic, Foreign, Key, Response, Retry, Step, Workflow};

use crate::answer;
use crate::app::App;
use crate::cart::{self, Cart};
use crate::id::{fresh, now};
use crate::not_yet::NotYet;
use crate::order;
use crate::payment::{self, Payment};
use crate::payments::Verdict;
use crate::point::{Charge, Complete, PaymentAuthorized, TaxLinesCreated};
use crate::sql::Sql;
use crate::stock;

/// An atomic step of this shop.
type Atom<'c, C> = Atomic<'c, C, App, Complete>;
/// A foreign step of this shop.
type Call<'c> = Foreign<'c, App, Complete>;

/// A provider that has not answered by then is asked again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Completes a cart: it gets its tax lines, its payment is authorized, it becomes an order or a swap.
///
/// What is out of stock at the end is a final answer: the payment is cancelled and the cart given back, and then it is
/// stored. A provider that cannot be reached is none: the key waits, and in the end asks for a person.
pub fn complete_cart<C: Sql>() -> Workflow<C, App, Complete> {
    Workflow::new("complete_cart")
        .atomic("create_tax_lines", create_tax_lines) // started            → tax_lines_created
        .undo(remove_tax_lines)
        .foreign("authorize_payment", authorize_payment) // tax_lines_created  → payment_authorized
        .checkpoint()
        .retry(Retry::default())
        .timeout(TIMEOUT)
        .undo(cancel_payment)
        .atomic("place_order", place_order) // payment_authorized → finished
        .build()
}

/// Whose the cart is while it is being completed.
pub(crate) fn holder(key: &Key) -> String {
    format!("{}/{}", key.scope(), key.value())
}

async fn create_tax_lines<C: Sql>(cx: Atom<'_, C>, request: Complete) -> Step<TaxLinesCreated> {
    let cart = held(cx.conn, &holder(cx.key), &request.cart_id).await??;
    let charge = charge(&cart)?;
    cart::add_tax_lines(cx.conn, &cart).await?;
    Ok(TaxLinesCreated { payment_id: fresh("pay"), charge })
}

/// The cart, which from here on belongs to this key. Of a cart that is completed already, its answer.
async fn held<C: Sql>(conn: &mut C, holder: &str, cart_id: &str) -> Step<Result<Cart, Response>> {
    let held = cart::hold(conn, cart_id, holder).await?;
    let cart = cart::find(conn, cart_id).await?.ok_or_else(|| NotYet::NoCart(cart_id.to_owned()))?;
    if held {
        return Ok(Ok(cart));
    }
    Ok(Err(completed(conn, &cart).await?.ok_or(NotYet::Held)?))
}

/// What a cart answers that was completed under another key.
async fn completed<C: Sql>(conn: &mut C, cart: &Cart) -> sqlx::Result<Option<Response>> {
    if cart.is_swap() {
        return Ok(order::swap_of_cart(conn, &cart.id).await?.map(|id| answer::swap(&id, &cart.id)));
    }
    Ok(order::of_cart(conn, &cart.id).await?.map(answer::order))
}

/// What a cart costs, if it can be completed. Asked before anything is authorized: from here on it does not change.
pub(crate) fn charge(cart: &Cart) -> Result<Option<Charge>, NotYet> {
    if cart.customer_id.is_none() {
        return Err(NotYet::NoCustomer);
    }
    if cart.items.is_empty() {
        return Err(NotYet::NoItems);
    }
    if cart.total() == 0 {
        return Ok(None);
    }
    let session = cart.selected().ok_or(NotYet::NoSession)?;
    let (provider_id, session_id) = (session.provider_id.clone(), session.id.clone());
    Ok(Some(Charge { provider_id, session_id, amount: cart.total() }))
}

/// The undo of `create_tax_lines`. It comes only after a payment was cancelled: what a provider refuses is told by
/// the last step, without any undo. Nothing of a cart that another key has by now is touched.
async fn remove_tax_lines<C: Sql>(cx: Atom<'_, C>, reached: TaxLinesCreated) -> Step<()> {
    let cart_id = &cx.request().cart_id;
    if cart::release(cx.conn, cart_id, &holder(cx.key)).await? {
        cart::remove_tax_lines(cx.conn, cart_id).await?;
    }
    if let Some(charge) = reached.charge {
        let payment = Payment { id: reached.payment_id, charge };
        payment::keep_cancelled(cx.conn, cart_id, &payment, now()).await?;
    }
    Ok(())
}

async fn authorize_payment(cx: Call<'_>, reached: TaxLinesCreated) -> Step<PaymentAuthorized> {
    let TaxLinesCreated { payment_id, charge } = reached;
    let verdict = match &charge {
        Some(charge) => cx.app.payments.authorize(cx.effect_key(), charge).await?,
        None => Verdict::Authorized,
    };
    Ok(PaymentAuthorized { payment_id, charge, verdict })
}

/// The undo of `authorize_payment`: another call, with an effect key of its own.
async fn cancel_payment(cx: Call<'_>, reached: PaymentAuthorized) -> Step<()> {
    if let (Some(charge), Verdict::Authorized) = (&reached.charge, &reached.verdict) {
        cx.app.payments.cancel(cx.effect_key(), charge).await?;
    }
    Ok(())
}

async fn place_order<C: Sql>(cx: Atom<'_, C>, reached: PaymentAuthorized) -> Step<Response> {
    let holder = holder(cx.key);
    let cart = held(cx.conn, &holder, &cx.request().cart_id).await??;
    let PaymentAuthorized { payment_id, charge, verdict } = reached;
    if verdict != Verdict::Authorized {
        return not_authorized(cx.conn, &holder, &cart, charge, &verdict).await;
    }
    if let Err(item) = stock::reserve(cx.conn, &cart.items).await? {
        Err(answer::out_of_stock(item))?;
    }
    let (payment, at) = (charge.map(|charge| Payment { id: payment_id, charge }), now());
    let answer = if cart.is_swap() {
        swapped(cx.conn, &cart, payment.as_ref(), at).await?
    } else {
        ordered(cx.conn, &cart, payment.as_ref(), at).await?
    };
    if !cart::complete(cx.conn, &cart.id, &holder, at).await? {
        Err(NotYet::Held)?;
    }
    Ok(answer)
}

/// The cart is given back as it was, with what the provider said of its session.
async fn not_authorized<C: Sql>(
    conn: &mut C,
    holder: &str,
    cart: &Cart,
    charge: Option<Charge>,
    verdict: &Verdict,
) -> Step<Response> {
    cart::remove_tax_lines(conn, &cart.id).await?;
    cart::release(conn, &cart.id, holder).await?;
    if let Some(charge) = charge {
        cart::set_session_status(conn, &cart.id, &charge.session_id, verdict.status()).await?;
    }
    let cart = cart::find(conn, &cart.id).await?.ok_or_else(|| NotYet::NoCart(cart.id.clone()))?;
    match verdict {
        Verdict::Declined => Ok(answer::declined()),
        verdict => Ok(answer::not_paid(&cart, verdict)),
    }
}

async fn ordered<C: Sql>(conn: &mut C, cart: &Cart, payment: Option<&Payment>, at: i64) -> Step<Response> {
    let id = order::id();
    if let Some(payment) = payment {
        payment::keep(conn, &cart.id, &id, payment, at).await?;
    }
    Ok(answer::order(order::place(conn, cart, &id, payment, at).await?))
}

async fn swapped<C: Sql>(conn: &mut C, cart: &Cart, payment: Option<&Payment>, at: i64) -> Step<Response> {
    if !order::confirm_swap(conn, &cart.id, at).await? {
        Err(NotYet::NoSwap)?;
    }
    let swap_id = order::swap_of_cart(conn, &cart.id).await?.ok_or(NotYet::NoSwap)?;
    if let Some(payment) = payment {
        payment::keep(conn, &cart.id, &swap_id, payment, at).await?;
    }
    Ok(answer::swap(&swap_id, &cart.id))
}
