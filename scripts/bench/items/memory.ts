/**
 * Resident memory and garbage collection of the daemon; the last item, since it looks back at all
 * before it.
 */
import type { Item } from '../item.js';

const MIB = 2 ** 20;

export const memoryItem: Item = {
  name: 'memory',
  title: 'Memory of the daemon',
  weight: 0,
  maxRounds: 1,
  measures: [
    {
      id: 'memory-peak',
      label: 'resident, highest in this run',
      unit: 'MB',
      target: { of: 'value', atMost: 250 },
      note: 'the target is for a database of 100 GB',
    },
    { id: 'memory-end', label: 'resident, at the end', unit: 'MB' },
    {
      id: 'gc-longest',
      label: 'longest pause of its garbage collector',
      unit: 'ms',
      note: 'since its last start in this run, as V8 tells it',
    },
    { id: 'gc-mean', label: 'mean pause', unit: 'ms' },
  ],
  run: async (stage) => {
    await stage.quiet();
    const gc = await stage.mount.gcPauses();
    return [
      { id: 'gc-longest', value: gc.longestMs },
      { id: 'gc-mean', value: gc.totalMs / Math.max(1, gc.count) },
      { id: 'memory-peak', value: (await stage.peakBytes()) / MIB },
      { id: 'memory-end', value: (await stage.mount.residentBytes()) / MIB },
    ];
  },
};
