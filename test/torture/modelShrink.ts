/** Delta debugging: the shortest sequence of operations found that still fails. */

/**
 * Leaves out ever smaller pieces as long as what is left fails. `fails` is asked at most until
 * `deadline` (of performance.now()).
 */
export async function shrink<T>(
  items: readonly T[],
  fails: (items: readonly T[]) => Promise<boolean>,
  deadline: number,
): Promise<readonly T[]> {
  let left = items;
  for (let size = Math.ceil(items.length / 2); size >= 1; ) {
    let shorter = false;
    for (let at = 0; at < left.length && performance.now() < deadline; ) {
      const without = [...left.slice(0, at), ...left.slice(at + size)];
      if (without.length > 0 && (await fails(without))) {
        left = without;
        shorter = true;
      } else at += size;
    }
    if (performance.now() >= deadline) return left;
    if (size === 1 && !shorter) return left;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return left;
}
