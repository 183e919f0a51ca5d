// After tsc: copy what the compiler does not (the .proto files, the status page) and make the
// commands executable.
import { chmodSync, cpSync } from 'node:fs';

for (const folder of ['proto/openduck', 'proto/grpc', 'daemon/http/page/static']) {
  cpSync(folder, `dist/${folder}`, { recursive: true });
}
chmodSync('dist/daemon/main.js', 0o755);
chmodSync('dist/daemon/mountHelper.js', 0o755);
