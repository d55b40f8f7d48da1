// Stage: all. Thread: main.
// How commands end when they cannot do what they were asked to.

/** Exit codes of every command but `dupes`, which has its own. */
export const EXIT_FAILED = 1
export const EXIT_UNUSABLE = 2

/** The command cannot begin or go on; the message, on one line, says why. */
export class CliError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number = EXIT_UNUSABLE) {
    super(message)
    this.exitCode = exitCode
  }
}

/** What went wrong with a file, in words. */
export function explain(error: unknown): string {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  switch (code) {
    case 'ENOENT':
      return 'no such file or folder'
    case 'ENOTDIR':
      return 'not a folder'
    case 'EISDIR':
      return 'is a folder'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    default:
      return String(message ?? error)
  }
}
