/** Loaded into the daemon by `--profile DIR`: writes a CPU profile of its JavaScript at its end. */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';

function profileUntilExit(dir: string): void {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.start');
  process.on('exit', () => {
    session.post('Profiler.stop', (error, result) => {
      if (error !== null) return;
      const path = join(dir, `daemon-${process.pid}.cpuprofile`);
      writeFileSync(path, JSON.stringify(result.profile));
    });
  });
}

const dir = process.env['BENCH_PROFILE_DIR'];
// The daemon starts small processes too, with the same environment.
if (dir !== undefined && process.argv[2] === 'mount') profileUntilExit(dir);
