/**
 * Bounded concurrency: a list of steps is walked by a few lanes, so that neither memory nor the
 * thread pool's queue grows with the length of the list.
 */

/**
 * Runs `step(0)` … `step(count − 1)`, started in that order, at most `lanes` at a time. After the
 * first failure no further step starts; it rejects with that failure once every running step has
 * ended, so that buffers the steps write to are at rest then.
 */
export async function inLanes(
  count: number,
  lanes: number,
  step: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const lane = async () => {
    while (failure === undefined && next < count) {
      try {
        await step(next++);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, count) }, lane));
  // Read through a function: control flow analysis does not see what the lanes assigned.
  const failed = ((): typeof failure => failure)();
  if (failed !== undefined) throw failed.error;
}
