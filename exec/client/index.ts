/** The library: `import { connect } from 'openduck-fuse'`. */
export { type ErrorCode, OpenduckError } from '../../proto/errors.js';
export type { Parameter, Parameters, ParameterTypes } from '../arrow/parameters.js';
export type { BridgeReport } from '../hybrid/report.js';
export { mergeStreams } from './mergeStreams.js';
export type { BridgesReport, ConnectOptions, ExecuteOptions } from './options.js';
export type { Batch, Field, QueryResult } from './rows.js';
export { connect, Session } from './session.js';
export type { TlsOptions } from './transport.js';
