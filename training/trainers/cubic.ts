/** A rising cubic on the logit scale, as a bundle keeps it. */
export interface CubicCurve {
  readonly center: number;
  readonly scale: number;
  /** Coefficients of 1, u, u², u³ of u = (z − center) ÷ scale. */
  readonly c: [number, number, number, number];
  /** Where all but a thousandth of the u at either end lie: beyond that it goes on straight. */
  readonly low: number;
  readonly high: number;
}

const STEPS = 60;
/** Share of the rows at either end over which the curve is not asked to rise: too few to say how it goes on. */
const TAIL = 0.001;
/** The least slope over the range, in logits a standard deviation: a calibration may not turn the order round. */
const LEAST_SLOPE = 0.05;

/**
 * p = σ(c₀ + c₁u + c₂u² + c₃u³), u = standardised logit, by maximum likelihood (Newton's method); undefined where the curve
 * would not rise between the thousandth parts at both ends, or does not converge. NaN labels are left out.
 * Bends at both ends of the scores that a line (Platt) cannot follow, without the steps of isotonic regression.
 */
export function cubicScaling(
  logits: ArrayLike<number>,
  labels: ArrayLike<number>,
  weights: ArrayLike<number>,
): CubicCurve | undefined {
  const rows: number[] = [];
  let [total, sum] = [0, 0];
  for (let i = 0; i < labels.length; i++) {
    if (Number.isNaN(labels[i])) continue;
    const z = logits[i] as number;
    rows.push(i);
    total += weights[i] as number;
    sum += (weights[i] as number) * z;
  }
  const sorted = Float64Array.from(rows, (i) => logits[i] as number).sort();
  const cut = Math.floor(TAIL * rows.length);
  const [low, high] = [sorted[cut] as number, sorted[rows.length - 1 - cut] as number];
  if (!(total > 0 && high > low)) return undefined;
  const center = sum / total;
  let squares = 0;
  for (const i of rows) squares += (weights[i] as number) * ((logits[i] as number) - center) ** 2;
  const scale = Math.sqrt(squares / total);
  const c: CubicCurve["c"] = [center, scale, 0, 0];
  for (let step = 0; ; step++) {
    if (step === STEPS) return undefined;
    const gradient = new Float64Array(4);
    // Of the Hessian, which is made of Σ w·p·(1 − p)·u^k.
    const powers = new Float64Array(7);
    for (const i of rows) {
      const u = ((logits[i] as number) - center) / scale;
      const w = weights[i] as number;
      const p = 1 / (1 + Math.exp(-(c[0] + u * (c[1] + u * (c[2] + u * c[3])))));
      let residual = w * (p - (labels[i] as number));
      for (let k = 0; k < 4; k++, residual *= u) gradient[k] = (gradient[k] as number) + residual;
      let curvature = w * p * (1 - p);
      for (let k = 0; k < 7; k++, curvature *= u) powers[k] = (powers[k] as number) + curvature;
    }
    const change = solve(
      Array.from({ length: 4 }, (_, k) => Array.from(powers.subarray(k, k + 4))),
      Array.from(gradient),
    );
    const largest = Math.max(...change.map(Math.abs));
    if (!Number.isFinite(largest)) return undefined;
    // From far outside a full Newton step can overshoot.
    const damping = Math.min(1, 1 / largest);
    for (let k = 0; k < 4; k++) c[k] = (c[k] as number) - damping * (change[k] as number);
    if (largest < 1e-9) break;
  }
  const curve = { center, scale, c, low: (low - center) / scale, high: (high - center) / scale };
  return leastSlope(curve) >= LEAST_SLOPE ? curve : undefined;
}

/** The least of c₁ + 2c₂u + 3c₃u² between the ends. */
function leastSlope({ c: [, c1, c2, c3], low, high }: CubicCurve): number {
  const slope = (u: number): number => c1 + u * (2 * c2 + 3 * c3 * u);
  const turn = -c2 / (3 * c3);
  const inside = turn > low && turn < high ? [slope(turn)] : [];
  return Math.min(slope(low), slope(high), ...inside);
}

/** x of a·x = b, by Gaussian elimination with pivoting; both are overwritten. */
function solve(a: number[][], b: number[]): number[] {
  const n = b.length;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let row = column + 1; row < n; row++)
      if (Math.abs(at(a, row, column)) > Math.abs(at(a, pivot, column))) pivot = row;
    [a[column], a[pivot]] = [a[pivot] as number[], a[column] as number[]];
    [b[column], b[pivot]] = [b[pivot] as number, b[column] as number];
    for (let row = column + 1; row < n; row++) {
      const factor = at(a, row, column) / at(a, column, column);
      for (let k = column; k < n; k++)
        (a[row] as number[])[k] = at(a, row, k) - factor * at(a, column, k);
      b[row] = (b[row] as number) - factor * (b[column] as number);
    }
  }
  const x = new Array<number>(n).fill(0);
  for (let row = n - 1; row >= 0; row--) {
    let rest = b[row] as number;
    for (let k = row + 1; k < n; k++) rest -= at(a, row, k) * (x[k] as number);
    x[row] = rest / at(a, row, row);
  }
  return x;
}

const at = (a: readonly number[][], row: number, column: number): number =>
  (a[row] as number[])[column] as number;
