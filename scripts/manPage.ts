/** npm run man: writes docs/man/openduck-fuse.1, made of the command line. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeCommandLine } from '../daemon/commandLine.js';
import { manPage } from '../daemon/describe/manPage.js';
import { systemContext } from '../daemon/program.js';

const PAGE = 'docs/man/openduck-fuse.1';

mkdirSync(dirname(PAGE), { recursive: true });
writeFileSync(PAGE, manPage(await describeCommandLine(systemContext)));
