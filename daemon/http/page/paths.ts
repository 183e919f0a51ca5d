/** Which paths are the status page's. Pure. */

export const API = '/api/';
export const ACTION = '/api/actions/';

export const isPageApi = (path: string): boolean => path.startsWith(API);
export const isPageAction = (path: string): boolean => path.startsWith(ACTION);
