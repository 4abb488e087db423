//! A real transform of powers of two that gives the same bits on every machine: one scalar algorithm,
//! its roots from `libm`, nothing fused.
//!
//! Split-packed convention: DC at 0, Nyquist at N/2, real(k) at k and imag(k) at N/2+k. Forward is the
//! conventional DFT; inverse is unnormalized. Even and odd samples are the real and imaginary parts of
//! a complex transform of half the size, which is Stockham's of radix 4 with a last pass of radix 2
//! where the size asks for it.

#[derive(Clone, Debug, Default)]
struct Planes {
    re: Vec<f32>,
    im: Vec<f32>,
}

impl Planes {
    fn new(size: usize) -> Planes {
        Planes { re: vec![0.0; size], im: vec![0.0; size] }
    }
}

pub(crate) struct PackedFft {
    /// Half of the size: that of the complex transform.
    half: usize,
    /// exp(−2πi·k/half).
    roots: Planes,
    /// exp(−2πi·k/(2·half)).
    half_roots: Planes,
    work: Planes,
    other: Planes,
}

impl PackedFft {
    pub fn new(size: usize, _numerics: crate::Numerics) -> Self {
        assert!(size.is_power_of_two() && size >= 4, "a power of two");
        let half = size / 2;
        Self {
            half,
            roots: roots(half, half),
            half_roots: roots(half, size),
            work: Planes::new(half),
            other: Planes::new(half),
        }
    }

    pub fn forward(&mut self, data: &mut [f32]) {
        let h = self.half;
        assert_eq!(data.len(), 2 * h);
        for k in 0..h {
            self.work.re[k] = data[2 * k];
            self.work.im[k] = data[2 * k + 1];
        }
        transform(&mut self.work.re, &mut self.work.im, &mut self.other, &self.roots);
        let Planes { re, im } = &self.work;
        data[0] = re[0] + im[0];
        data[h] = re[0] - im[0];
        for k in 1..h {
            let (a, b) = ([re[k], im[k]], [re[h - k], -im[h - k]]);
            let even = [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])];
            // (a − b) / 2i
            let odd = [0.5 * (a[1] - b[1]), -0.5 * (a[0] - b[0])];
            let (c, s) = (self.half_roots.re[k], self.half_roots.im[k]);
            data[k] = even[0] + (c * odd[0] - s * odd[1]);
            data[h + k] = even[1] + (c * odd[1] + s * odd[0]);
        }
    }

    pub fn inverse(&mut self, data: &mut [f32]) {
        let h = self.half;
        assert_eq!(data.len(), 2 * h);
        self.work.re[0] = data[0] + data[h];
        self.work.im[0] = data[0] - data[h];
        for k in 1..h {
            let (a, b) = ([data[k], data[h + k]], [data[h - k], -data[2 * h - k]]);
            let even = [a[0] + b[0], a[1] + b[1]];
            let difference = [a[0] - b[0], a[1] - b[1]];
            // By the conjugate root.
            let (c, s) = (self.half_roots.re[k], -self.half_roots.im[k]);
            let odd = [
                c * difference[0] - s * difference[1],
                c * difference[1] + s * difference[0],
            ];
            self.work.re[k] = even[0] - odd[1];
            self.work.im[k] = even[1] + odd[0];
        }
        // With both parts exchanged, forward is backward.
        transform(&mut self.work.im, &mut self.work.re, &mut self.other, &self.roots);
        for k in 0..h {
            data[2 * k] = self.work.re[k];
            data[2 * k + 1] = self.work.im[k];
        }
    }
}

fn roots(count: usize, of: usize) -> Planes {
    let angle = |k: usize| -std::f64::consts::TAU * k as f64 / of as f64;
    Planes {
        re: (0..count).map(|k| libm::cos(angle(k)) as f32).collect(),
        im: (0..count).map(|k| libm::sin(angle(k)) as f32).collect(),
    }
}

/// The complex transform; the result is in `re` and `im`.
fn transform(re: &mut Vec<f32>, im: &mut Vec<f32>, other: &mut Planes, roots: &Planes) {
    let (mut n, mut stride) = (re.len(), 1);
    while n > 2 {
        pass(n, stride, [&re[..], &im[..]], [&mut other.re[..], &mut other.im[..]], roots);
        std::mem::swap(re, &mut other.re);
        std::mem::swap(im, &mut other.im);
        (n, stride) = (n / 4, 4 * stride);
    }
    if n == 2 {
        for (plane, out) in [(&*re, &mut other.re), (&*im, &mut other.im)] {
            let (low, high) = plane.split_at(stride);
            let (sums, differences) = out.split_at_mut(stride);
            for q in 0..stride {
                sums[q] = low[q] + high[q];
                differences[q] = low[q] - high[q];
            }
        }
        std::mem::swap(re, &mut other.re);
        std::mem::swap(im, &mut other.im);
    }
}

/// One pass of radix 4: `stride` interleaved sequences of `n` become four times as many.
fn pass(n: usize, stride: usize, from: [&[f32]; 2], to: [&mut [f32]; 2], roots: &Planes) {
    let quarter = n / 4;
    let [re, im] = from;
    let [out_re, out_im] = to;
    let blocks = out_re.chunks_exact_mut(4 * stride).zip(out_im.chunks_exact_mut(4 * stride));
    for (p, (out_re, out_im)) in blocks.enumerate() {
        let root = |times: usize| [roots.re[times * p * stride], roots.im[times * p * stride]];
        let (w1, w2, w3) = (root(1), root(2), root(3));
        let part = |of: usize| {
            let start = stride * (p + of * quarter);
            (&re[start..start + stride], &im[start..start + stride])
        };
        let ((a_re, a_im), (b_re, b_im), (c_re, c_im), (d_re, d_im)) =
            (part(0), part(1), part(2), part(3));
        let (y0_re, rest) = out_re.split_at_mut(stride);
        let (y1_re, rest) = rest.split_at_mut(stride);
        let (y2_re, y3_re) = rest.split_at_mut(stride);
        let (y0_im, rest) = out_im.split_at_mut(stride);
        let (y1_im, rest) = rest.split_at_mut(stride);
        let (y2_im, y3_im) = rest.split_at_mut(stride);
        for q in 0..stride {
            let sum_ac = [a_re[q] + c_re[q], a_im[q] + c_im[q]];
            let dif_ac = [a_re[q] - c_re[q], a_im[q] - c_im[q]];
            let sum_bd = [b_re[q] + d_re[q], b_im[q] + d_im[q]];
            // i·(b − d)
            let turned = [-(b_im[q] - d_im[q]), b_re[q] - d_re[q]];
            y0_re[q] = sum_ac[0] + sum_bd[0];
            y0_im[q] = sum_ac[1] + sum_bd[1];
            let y1 = [dif_ac[0] - turned[0], dif_ac[1] - turned[1]];
            y1_re[q] = w1[0] * y1[0] - w1[1] * y1[1];
            y1_im[q] = w1[0] * y1[1] + w1[1] * y1[0];
            let y2 = [sum_ac[0] - sum_bd[0], sum_ac[1] - sum_bd[1]];
            y2_re[q] = w2[0] * y2[0] - w2[1] * y2[1];
            y2_im[q] = w2[0] * y2[1] + w2[1] * y2[0];
            let y3 = [dif_ac[0] + turned[0], dif_ac[1] + turned[1]];
            y3_re[q] = w3[0] * y3[0] - w3[1] * y3[1];
            y3_im[q] = w3[0] * y3[1] + w3[1] * y3[0];
        }
    }
}

use crate::memory::HeapBytes;
impl HeapBytes for Planes {
    fn heap_bytes(&self) -> usize {
        self.re.heap_bytes() + self.im.heap_bytes()
    }
}
impl HeapBytes for PackedFft {
    fn heap_bytes(&self) -> usize {
        self.roots.heap_bytes()
            + self.half_roots.heap_bytes()
            + self.work.heap_bytes()
            + self.other.heap_bytes()
    }
}
