/** A CA of a test's own and a certificate of it for this machine, made with openssl. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from './proc.js';

export interface TestCertificate {
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Writes it into `directory`. */
export async function makeTestCertificate(directory: string): Promise<TestCertificate> {
  const file = (name: string) => join(directory, name);
  const [caFile, caKey] = [file('ca.pem'), file('ca.key')];
  const [certificateFile, keyFile] = [file('server.pem'), file('server.key')];
  const [signing, names] = [file('server.csr'), file('server.ext')];
  const x509 = ['req', '-x509', ...KEY, '-days', '2', '-subj', '/CN=openduck test CA'];
  await must('openssl', [...x509, '-keyout', caKey, '-out', caFile]);
  const request = ['req', ...KEY, '-subj', '/CN=localhost', '-keyout', keyFile, '-out', signing];
  await must('openssl', request);
  await writeFile(names, 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const sign = ['x509', '-req', '-in', signing, '-CA', caFile, '-CAkey', caKey, '-days', '2'];
  await must('openssl', [...sign, '-CAcreateserial', '-extfile', names, '-out', certificateFile]);
  return { caFile, certificateFile, keyFile };
}
