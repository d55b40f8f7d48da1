//! Stage: run. Thread: native workers.
//! Kernels that misbehave on purpose, for the tests of what one task may do to others. In no release build.

use crate::error::{ErrorCode, KernelError};
use crate::kernel::{Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

struct Fault {
    info: &'static KernelInfo,
    body: fn(f64, &KernelContext<'_>) -> Result<Value, KernelError>,
}

impl Kernel for Fault {
    fn info(&self) -> &'static KernelInfo {
        self.info
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let number = input.value.as_number().ok_or_else(|| KernelError::arg_type("a number is needed"))?;
        (self.body)(number, ctx)
    }
}

/// Works for that many ms.
fn spin(ms: f64) {
    let until = Instant::now() + Duration::from_secs_f64(ms / 1000.0);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Looks at its cancel flag until that is set.
fn wait(ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
    loop {
        ctx.check()?;
        std::thread::yield_now();
    }
}

macro_rules! faults {
    ($($name:literal, $summary:literal, $body:expr;)*) => {
        vec![$({
            static INFO: KernelInfo = KernelInfo {
                name: $name,
                group: "faults",
                summary: $summary,
                input: Schema::NUMBER,
                options: &[],
                output: "number",
                in_place: false,
                parallel: true,
            };
            Box::new(Fault { info: &INFO, body: $body }) as Box<dyn Kernel>
        },)*]
    };
}

/// The kernels of this group. Each takes a number.
pub(super) fn all() -> Vec<Box<dyn Kernel>> {
    faults! {
        "faultEcho", "Gives the number back.", |number, _| Ok(Value::Number(number));
        "faultWait", "Runs until it is cancelled.", |_, ctx| wait(ctx);
        "faultSlowChunks", "A section of that many chunks of 1 ms.", |number, ctx| {
            ctx.parallel_for(number as usize, |_| spin(1.0))?;
            Ok(Value::Number(number))
        };
        "faultError", "Fails.", |number, _| Err(KernelError::new(ErrorCode::CorruptData, format!("error on purpose: {number}")));
        "faultPanic", "Panics.", |number, _| panic!("panic on purpose: {number}");
        "faultParallelPanic", "Panics in the chunk with that number, of 64.", |number, ctx| {
            ctx.parallel_for(64, |chunk| assert!(chunk as f64 != number, "chunk {chunk} panics on purpose"))?;
            Ok(Value::Number(64.0))
        };
        "faultStubborn", "Does not look whether it was cancelled, for that many ms.", |number, _| {
            spin(number);
            Ok(Value::Number(number))
        };
        "faultPost", "Posts the numbers below the given one.", |number, ctx| {
            for index in 0..number as usize {
                ctx.post("count", Value::object([("index", Value::Number(index as f64))]));
            }
            Ok(Value::Number(number))
        };
        "faultNested", "Parallel sections inside parallel sections; gives the number of innermost chunks run.", |number, ctx| {
            fn nest(depth: usize, ctx: &KernelContext<'_>, ran: &AtomicUsize) {
                if depth == 0 {
                    ran.fetch_add(1, Ordering::Relaxed);
                } else {
                    // A cancelled section leaves chunks out; the caller of the outermost one reports it.
                    let _ = ctx.parallel_for(8, |_| nest(depth - 1, ctx, ran));
                }
            }
            let ran = AtomicUsize::new(0);
            nest(number as usize, ctx, &ran);
            ctx.check()?;
            Ok(Value::Number(ran.into_inner() as f64))
        };
    }
}
