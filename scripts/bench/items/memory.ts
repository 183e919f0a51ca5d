/** Resident memory of the daemon; the last item, since it looks back at all before it. */
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
  ],
  run: async (stage) => {
    await stage.quiet();
    return [
      { id: 'memory-peak', value: (await stage.peakBytes()) / MIB },
      { id: 'memory-end', value: (await stage.mount.residentBytes()) / MIB },
    ];
  },
};
