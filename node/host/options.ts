/** Options of a host; the child process form uses all of them, the inline form those it can. */

export interface HostOptions {
  /** A directory of the host's own: records of its processes and their working directories. */
  directory: string
  /** Verified code that hosted processes may read; new links come from here while an object runs. Used by the sandbox. @default [] */
  codeDirectories?: string[]
  /** Where compiled code is kept; confined processes only read it. @default 'compiled' in `directory` */
  compiledDirectory?: string
  /** Confinement of hosted processes; `auto` uses bubblewrap where it is installed. @default 'auto' */
  sandbox?: 'none' | 'bwrap' | 'auto'
  /** What confined code may have beyond its state where its entry says that it needs it: `network`, absolute paths. @default [] */
  allowed?: readonly string[]
  /** Largest message to or from a hosted process, bytes: arguments and result of one call. @default 8 MiB */
  maxFrameBytes?: number
  /** Calls that wait for a process that does not read, bytes; beyond it they are `Unavailable`. @default 32 MiB */
  maxQueuedBytes?: number
  /** Resident memory at which a process is killed, bytes; it must hold an object's working set. @default 1 GiB */
  maxResidentBytes?: number
  /** Bound on starting a process and importing its code. @default 30 000 */
  warmTimeoutMs?: number
  /** Bound on opening state and starting every link. @default 60 000 */
  startTimeoutMs?: number
  /** Bound on one health probe. @default 5 000 */
  healthTimeoutMs?: number
  /** Bound on a custom schedule, from the import of its code to its answer. @default 10 000 */
  askTimeoutMs?: number
  /** What a process may take, beyond the bound given to `stop`, to close its state. @default 5 000 */
  stopGraceMs?: number
  /** Free space that must remain when a transform begins, bytes. @default 64 MiB */
  reserveBytes?: number
}

const MIB = 1024 * 1024

export const HOST_DEFAULTS: Required<Omit<HostOptions, 'directory' | 'compiledDirectory'>> = {
  codeDirectories: [],
  sandbox: 'auto',
  allowed: [],
  maxFrameBytes: 8 * MIB,
  maxQueuedBytes: 32 * MIB,
  maxResidentBytes: 1024 * MIB,
  warmTimeoutMs: 30_000,
  startTimeoutMs: 60_000,
  healthTimeoutMs: 5_000,
  askTimeoutMs: 10_000,
  stopGraceMs: 5_000,
  reserveBytes: 64 * MIB
}
