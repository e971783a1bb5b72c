import type { ErrorBody } from './models';

/** An error with the server's one clear line and its hint. */
export class MLOpsError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint = '',
    readonly status = 0
  ) {
    super(message);
    this.name = 'MLOpsError';
  }
}

/** Whether `value` is the body of an error answer. */
export function isErrorBody(value: unknown): value is ErrorBody {
  const body = value as Partial<ErrorBody> | null;
  return typeof body?.code === 'string' && typeof body.message === 'string';
}

/** One text for people: what was wrong and what to do. */
export function describe(reason: unknown): string {
  if (reason instanceof MLOpsError) {
    return [reason.message, reason.hint].filter(Boolean).join(' ');
  }
  return reason instanceof Error ? reason.message : String(reason);
}
