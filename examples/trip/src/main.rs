//! A trip is a saga: hotel, flight and car are booked one after the other, and when one of them cannot be had, what was
//! booked before is cancelled, in reverse order. The booking service is flaky on purpose.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::SqliteConnection;
use uuid::Uuid;
use workflow::{Foreign, InDoubt, Key, RecoveryPoint, Response, Retry, Runner, Step, Workflow};

#[derive(Serialize, Deserialize)]
struct Trip(String); // to which city
#[derive(Serialize, Deserialize)]
struct HotelBooked(Uuid);
#[derive(Serialize, Deserialize)]
struct FlightBooked(Uuid, Uuid); // the hotel and the flight
impl RecoveryPoint for Trip {
    const NAME: &'static str = "started";
}
impl RecoveryPoint for HotelBooked {
    const NAME: &'static str = "hotel_booked";
}
impl RecoveryPoint for FlightBooked {
    const NAME: &'static str = "flight_booked";
}

/// What goes wrong at the service, by what it means.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the service is away")]
    Away, // nothing has happened: try again
    #[error("the service did not answer")]
    NoReply(#[source] InDoubt), // it may have happened: try again, by the same key
    #[error(transparent)]
    SoldOut(#[from] Response), // final: undo what was booked
}

/// A booking service that honours idempotency keys. Of three calls it refuses one, and leaves one without its answer.
#[derive(Default)]
struct Service {
    calls: AtomicU32,
    booked: Mutex<BTreeMap<Uuid, String>>,
}

impl Service {
    async fn book(&self, what: &str, city: &str, key: Uuid) -> Result<Uuid, Trouble> {
        if what == "car" && city == "Reykjavik" {
            println!("  car: sold out");
            return Err(Response::new(409, json!({ "error": "no car is left in Reykjavik" })).into());
        }
        self.flaky(what, "booked", |booked| {
            booked.insert(key, format!("{what} in {city}"));
        })?;
        Ok(key)
    }

    async fn cancel(&self, what: &str, booking: Uuid, _key: Uuid) -> Result<(), Trouble> {
        self.flaky(what, "cancelled", |booked| {
            booked.remove(&booking);
        })
    }

    fn flaky(
        &self,
        what: &str,
        done: &str,
        work: impl FnOnce(&mut BTreeMap<Uuid, String>),
    ) -> Result<(), Trouble> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) % 3;
        if call == 0 {
            println!("  {what}: the service is away");
            return Err(Trouble::Away);
        }
        work(&mut self.booked());
        if call == 1 {
            println!("  {what}: {done}, but nobody hears of it");
            return Err(Trouble::NoReply(InDoubt::new("the connection was lost")));
        }
        println!("  {what}: {done}");
        Ok(())
    }

    fn booked(&self) -> MutexGuard<'_, BTreeMap<Uuid, String>> {
        self.booked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Call<'c> = Foreign<'c, Service, Trip>;

async fn book_hotel(cx: Call<'_>, trip: Trip) -> Result<HotelBooked, Trouble> {
    Ok(HotelBooked(cx.app.book("hotel", &trip.0, cx.effect_key()).await?))
}

async fn cancel_hotel(cx: Call<'_>, booked: HotelBooked) -> Result<(), Trouble> {
    cx.app.cancel("hotel", booked.0, cx.effect_key()).await
}

async fn book_flight(cx: Call<'_>, booked: HotelBooked) -> Result<FlightBooked, Trouble> {
    let flight = cx.app.book("flight", &cx.request().0, cx.effect_key()).await?;
    Ok(FlightBooked(booked.0, flight))
}

async fn cancel_flight(cx: Call<'_>, booked: FlightBooked) -> Result<(), Trouble> {
    cx.app.cancel("flight", booked.1, cx.effect_key()).await
}

async fn book_car(cx: Call<'_>, booked: FlightBooked) -> Step<Response> {
    let car = cx.app.book("car", &cx.request().0, cx.effect_key()).await?;
    Ok(Response::new(201, json!({ "hotel": booked.0, "flight": booked.1, "car": car })))
}

fn trip() -> Workflow<SqliteConnection, Service, Trip> {
    let retry = Retry::times(10).backoff(Duration::from_millis(50), 2.0, Duration::from_secs(1));
    Workflow::new("trip")
        .foreign("book_hotel", book_hotel)
        .retry(retry)
        .undo(cancel_hotel)
        .retry(retry)
        .foreign("book_flight", book_flight)
        .retry(retry)
        .undo(cancel_flight)
        .retry(retry)
        .foreign("book_car", book_car)
        .retry(retry)
        .build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = workflow_sqlite::Sqlite::open("sqlite://trip.db").await?;
    let runner = Runner::builder(store, Service::default()).with(trip).build()?;
    for city in ["Lisbon", "Reykjavik"] {
        println!("{city}");
        let answer = runner.run(trip, Key::fresh("traveller-7")?, Trip(city.to_owned())).await?;
        println!("  {}", answer.status());
    }
    println!("booked in the end: {:?}", runner.app().booked().values().collect::<Vec<_>>());
    Ok(())
}
