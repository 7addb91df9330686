//! The page's files, inside the program.

use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};

const STYLE: &str = include_str!("../../../assets/shop.css");
const SCRIPT: &str = include_str!("../../../assets/shop.js");
const ICON: &str = include_str!("../../../assets/icon.svg");

type Asset = ([(HeaderName, &'static str); 2], &'static str);

pub(super) async fn style() -> Asset {
    asset("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script() -> Asset {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn icon() -> Asset {
    asset("image/svg+xml", ICON)
}

/// Asked for anew each time: another build may have other files under the same names.
fn asset(content_type: &'static str, text: &'static str) -> Asset {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")], text)
}
