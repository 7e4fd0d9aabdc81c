// Arithmetic on a run's curves, as the hub answers them: parallel lists by name.

/** One curve with its values scaled; nothing where the run has none of this name. */
export function curveOf(run, name, scale = 1) {
  const curve = run.curves[name];
  if (!curve) return undefined;
  const times = (values) => values.map((value) => value * scale);
  return { step: curve.step, mean: times(curve.mean), low: times(curve.low), high: times(curve.high) };
}

/** The seconds of training that each step was reached after, between the reports in proportion. */
export function inSeconds(run, steps) {
  const known = run.curves.seconds;
  if (!known) return steps;
  const at = [0, ...known.step];
  const seconds = [0, ...known.mean];
  let place = 1;
  return steps.map((step) => {
    while (place < at.length - 1 && at[place] < step) place += 1;
    const share = at[place] === at[place - 1] ? 1 : (step - at[place - 1]) / (at[place] - at[place - 1]);
    return seconds[place - 1] + share * (seconds[place] - seconds[place - 1]);
  });
}

/** How bytes are written whose greatest is this: what they are multiplied with, and the unit. */
export function byteUnit(greatest) {
  return greatest < 2 ** 30 ? { scale: 1 / 2 ** 20, unit: "MB" } : { scale: 1 / 2 ** 30, unit: "GB" };
}

/** The last value of a curve whose gaps are null. */
export function lastOf(values) {
  return values.findLast((value) => value != null);
}

/** An exponential moving average without the pull of its first value. */
export function smoothed(values, weight) {
  if (!weight) return values;
  let sum = 0;
  let norm = 0;
  return values.map((value) => {
    sum = sum * weight + value * (1 - weight);
    norm = norm * weight + (1 - weight);
    return sum / norm;
  });
}
