//! Stage: run. Thread: native workers.
//! `mandelbrot`: iteration counts of a view of the Mandelbrot set.
//!
//! M1. A pixel depends on its place only, so that the threads do not show in the result.

use super::{Meter, no_memory, number, whole};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use parking_lot::Mutex;

/// How many steps of z ← z² + c every pixel's c takes until |z| > 2, row by row from the top.
///
/// # Complexity
///
/// O(width · height · `maxIterations`) at most.
///
/// # Source
///
/// The escape-time algorithm, with one division for the whole view and none per pixel, and without shortcuts for the
/// inside of the set: it is here as work.
#[derive(Debug)]
pub(super) struct Mandelbrot;

/// Most pixels: an output of 1 GiB.
const MAX_PIXELS: u64 = 1 << 28;

/// Pixels per chunk: enough to hide the cost of a chunk, and a few milliseconds at most with the default iterations.
const CHUNK: usize = 2048;

/// Steps between two cancel checks; below a millisecond.
const STEPS: u32 = 1 << 17;

impl Kernel for Mandelbrot {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "mandelbrot",
            group: "demo",
            summary: "Iteration counts of a view of the Mandelbrot set, row by row.",
            input: Schema::Object {
                fields: &[
                    Field::required("width", Schema::integer(1.0, MAX_PIXELS as f64)),
                    Field::required("height", Schema::integer(1.0, MAX_PIXELS as f64)),
                    Field::optional("centerX", Schema::number(f64::MIN, f64::MAX)),
                    Field::optional("centerY", Schema::number(f64::MIN, f64::MAX)),
                    Field::optional("scale", Schema::number(f64::MIN_POSITIVE, f64::MAX)),
                    Field::optional("maxIterations", Schema::integer(1.0, u32::MAX as f64)),
                ],
            },
            options: &[],
            output: "Uint32Array",
            in_place: false,
            parallel: true,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let view = View::of(&input.value)?;
        ctx.check()?;
        let mut counts: Vec<u32> = bytemuck::allocation::try_zeroed_vec(view.width * view.height)
            .map_err(|()| no_memory(view.width * view.height))?;
        let meter = Meter::new(ctx, counts.len());
        // Each part is taken out of its slot by the one thread that fills it.
        let parts: Vec<_> = counts.chunks_mut(CHUNK).map(|part| Mutex::new(Some(part))).collect();
        ctx.parallel_for(parts.len(), |index| {
            if let Some(part) = parts[index].lock().take() {
                view.fill(index * CHUNK, part, ctx);
                meter.add(part.len());
            }
        })?;
        drop(parts);
        Ok(Value::from_vec(counts))
    }
}

struct View {
    width: usize,
    height: usize,
    /// The middle of the first pixel.
    left: f64,
    top: f64,
    /// Width and height of a pixel.
    step: f64,
    max_iterations: u32,
}

impl View {
    fn of(input: &Value) -> Result<Self, KernelError> {
        if !matches!(input, Value::Object(_)) {
            return Err(KernelError::arg_type("the input must be an object"));
        }
        let size = |name| whole(input.get(name).unwrap_or(&Value::Undefined), name, 1.0, MAX_PIXELS as f64);
        let finite = |name, default| match input.get(name) {
            None => Ok(default),
            Some(value) => match number(value, name)? {
                number if number.is_finite() => Ok(number),
                number => Err(KernelError::out_of_range(format!("{name} must be finite, not {number}"))),
            },
        };
        let (width, height) = (size("width")?, size("height")?);
        if width * height > MAX_PIXELS as f64 {
            return Err(KernelError::out_of_range(format!(
                "width times height must be at most {MAX_PIXELS}, not {}",
                width * height
            )));
        }
        let scale = finite("scale", 3.5)?;
        if scale < f64::MIN_POSITIVE {
            return Err(KernelError::out_of_range(format!("scale must be positive, not {scale}")));
        }
        let max_iterations = input
            .get("maxIterations")
            .map_or(Ok(256.0), |value| whole(value, "maxIterations", 1.0, f64::from(u32::MAX)))?;
        let step = scale / width;
        Ok(Self {
            width: width as usize,
            height: height as usize,
            left: finite("centerX", -0.5)? - (width - 1.0) / 2.0 * step,
            top: finite("centerY", 0.0)? + (height - 1.0) / 2.0 * step,
            step,
            max_iterations: max_iterations as u32,
        })
    }

    /// Computes the pixels from number `first` on. On a cancel the rest stays as it is.
    fn fill(&self, first: usize, pixels: &mut [u32], ctx: &KernelContext<'_>) {
        let mut budget = STEPS;
        let (mut column, mut row) = (first % self.width, first / self.width);
        for pixel in pixels {
            let c = (self.left + column as f64 * self.step, self.top - row as f64 * self.step);
            let Some(count) = self.escape_time(c, &mut budget, ctx) else { return };
            *pixel = count;
            column += 1;
            if column == self.width {
                (column, row) = (0, row + 1);
            }
        }
    }

    /// Steps until |z| > 2, at most `max_iterations`; `None` when the task was given up.
    fn escape_time(&self, c: (f64, f64), budget: &mut u32, ctx: &KernelContext<'_>) -> Option<u32> {
        let (mut x, mut y, mut x2, mut y2) = (0.0, 0.0, 0.0, 0.0);
        let mut count = 0;
        loop {
            let stop = count + (*budget).min(self.max_iterations - count);
            let start = count;
            while count < stop && x2 + y2 <= 4.0 {
                y = 2.0 * x * y + c.1;
                x = x2 - y2 + c.0;
                x2 = x * x;
                y2 = y * y;
                count += 1;
            }
            *budget -= count - start;
            if *budget == 0 {
                if ctx.is_cancelled() {
                    return None;
                }
                *budget = STEPS;
            }
            // The loop ended before its stop: the orbit left, or became NaN for a view beyond the doubles.
            if count < stop || count == self.max_iterations {
                return Some(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{TestHost, assert_cancels};

    fn view(entries: &[(&'static str, f64)]) -> Value {
        Value::object(entries.iter().map(|&(name, number)| (name, Value::Number(number))))
    }

    fn run(threads: usize, entries: &[(&'static str, f64)]) -> Vec<u32> {
        let result =
            TestHost::with_threads(threads).run(&Mandelbrot, view(entries), Value::Undefined).unwrap();
        let Value::Array(counts) = result else { unreachable!() };
        counts.into_vec().unwrap()
    }

    /// The definition, with complex numbers spelt out.
    fn naive(c: (f64, f64), max: u32) -> u32 {
        let mut z = (0.0f64, 0.0f64);
        for count in 0..max {
            if z.0 * z.0 + z.1 * z.1 > 4.0 {
                return count;
            }
            z = (z.0 * z.0 - z.1 * z.1 + c.0, 2.0 * z.0 * z.1 + c.1);
        }
        max
    }

    #[test]
    fn every_pixel_is_that_of_the_definition() {
        let (width, height) = (61, 47);
        let counts = run(1, &[("width", 61.0), ("height", 47.0), ("maxIterations", 100.0)]);
        assert_eq!(counts.len(), width * height);
        let step = 3.5 / 61.0;
        for (at, &count) in counts.iter().enumerate() {
            let c =
                (-0.5 - 30.0 * step + (at % width) as f64 * step, 23.0 * step - (at / width) as f64 * step);
            assert_eq!(count, naive(c, 100), "{c:?}");
        }
        // Symmetric about the real axis.
        for row in 0..height / 2 {
            let mirror = height - 1 - row;
            assert_eq!(counts[row * width..][..width], counts[mirror * width..][..width]);
        }
    }

    #[test]
    fn single_pixels() {
        let pixel = |x: f64, y: f64, max: f64| {
            run(1, &[("width", 1.0), ("height", 1.0), ("centerX", x), ("centerY", y), ("maxIterations", max)])
        };
        // 0 never leaves; 2 goes to 2, 6; 1 goes to 1, 2, 5; 0.5 + 2i leaves at the first step.
        assert_eq!(pixel(0.0, 0.0, 1000.0), [1000]);
        assert_eq!(pixel(2.0, 0.0, 1000.0), [2]);
        assert_eq!(pixel(1.0, 0.0, 1000.0), [3]);
        assert_eq!(pixel(0.5, 2.0, 1000.0), [1]);
        assert_eq!(pixel(f64::MAX, f64::MIN, 1000.0), [1]);
        // Longer than one stretch between two cancel checks.
        let many = STEPS * 3 + 5;
        assert_eq!(pixel(0.0, 0.0, f64::from(many)), [many]);
    }

    #[test]
    fn rows_go_down() {
        let counts =
            run(1, &[("width", 1.0), ("height", 2.0), ("centerX", 0.0), ("centerY", 0.75), ("scale", 0.5)]);
        assert_eq!(counts, [naive((0.0, 1.0), 256), naive((0.0, 0.5), 256)]);
        assert_eq!(counts, [256, 256]);
        let counts = run(1, &[("width", 1.0), ("height", 2.0), ("centerY", 1.5), ("scale", 1.0)]);
        assert_eq!(counts, [naive((-0.5, 2.0), 256), naive((-0.5, 1.0), 256)]);
        assert!(counts[0] < counts[1]);
    }

    #[test]
    fn m1_threads_do_not_show() {
        let entries = [("width", 201.0), ("height", 99.0), ("centerX", -0.75), ("scale", 0.1)];
        assert_eq!(run(4, &entries), run(1, &entries));
    }

    #[test]
    fn wrong_views_are_errors() {
        for (name, wrong) in [
            ("width", 0.0),
            ("width", 1.5),
            ("height", f64::NAN),
            ("height", 2f64.powi(28) + 1.0),
            ("width", 2f64.powi(27)),
            ("centerX", f64::INFINITY),
            ("centerY", f64::NAN),
            ("scale", 0.0),
            ("scale", -1.0),
            ("maxIterations", 0.0),
            ("maxIterations", 2f64.powi(32)),
        ] {
            let mut entries = vec![(name, wrong)];
            entries.extend([("width", 4.0), ("height", 4.0)].iter().filter(|entry| entry.0 != name));
            let error = TestHost::new().run(&Mandelbrot, view(&entries), Value::Undefined).unwrap_err();
            assert_eq!(error.code, ErrorCode::OutOfRange, "{name} {wrong}");
        }
        let text = Value::object([
            ("width", Value::Number(1.0)),
            ("height", Value::Number(1.0)),
            ("scale", Value::Null),
        ]);
        let error = TestHost::new().run(&Mandelbrot, text, Value::Undefined).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgType);
    }

    #[test]
    fn a_cancel_is_seen() {
        assert_cancels(&Mandelbrot, 8, || {
            (view(&[("width", 128.0), ("height", 96.0), ("maxIterations", 1000.0)]), Value::Undefined)
        });
        // One pixel that would run for many seconds.
        let entries = [("width", 1.0), ("height", 1.0), ("centerX", 0.0), ("maxIterations", 4e9)];
        let host = TestHost::new().cancel_after(3);
        let error = host.run(&Mandelbrot, view(&entries), Value::Undefined).unwrap_err();
        assert_eq!(error.code, ErrorCode::Cancelled);
    }

    #[test]
    fn progress_reaches_the_total() {
        let host = TestHost::with_threads(2);
        host.run(&Mandelbrot, view(&[("width", 100.0), ("height", 100.0)]), Value::Undefined).unwrap();
        assert_eq!(host.progress_reports().last(), Some(&(1e4, 1e4)));
    }
}
