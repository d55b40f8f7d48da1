//! Build script: what napi-rs needs for each platform.

fn main() {
    napi_build::setup();
}
