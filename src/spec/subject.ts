/**
 * What the check drives (SPEC Q5): one node with the code of two versions, in whatever host. Forms: in memory (`memory.ts`),
 * over a disk and in processes (`node/check/`).
 */
import type { Interface, Simulation } from '../upgrade/manifest.ts'
import type { HostedObject, TransformFunction, Value } from '../versions/types.ts'

type Construct = (context: any) => HostedObject

export type CheckedSimulation = Pick<Simulation, 'interface' | 'intercepts' | 'effects'> & { construct: Construct }

/** The code of one class upgrade, as it will be shipped. */
export interface CheckedCode {
  from: number
  to: number
  old: { className: string; interface: Interface; construct: Construct }
  new: { className: string; interface: Interface; construct: Construct }
  future: CheckedSimulation | null
  past: CheckedSimulation | 'subtype' | null
  transform: TransformFunction | null
}

/** The code uses files: it needs a stage with a disk. */
export class NeedsDirectory extends Error {
  override name = 'NeedsDirectory'
}

/** The TF does not give the same result when it is run again. */
export class RerunDiffers extends Error {
  override name = 'RerunDiffers'
}

export interface Subject {
  /** @throws CallError as a caller would get it */
  call(version: number, method: string, args: readonly Value[]): Promise<Value>
  /** Starts the future SO. */
  simulate(): Promise<void>
  /**
   * Stops the old object, runs the TF, starts the new one with its past SO. With a number, the TF is also interrupted
   * after so many writes and run again. @throws RerunDiffers if that makes another state
   */
  upgrade(interruptedAfter?: number): Promise<void>
  /** The object's process is killed and started again. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** Makes a fresh node at the old version. */
export interface Stage {
  /** How it is named in reports: 'in memory', 'on a disk', 'in processes'. */
  readonly name: string
  open(hooks?: Hooks): Promise<Subject>
  /** When a call that has not ended is taken to wait for another one. @default after some turns without input or output */
  patience?(): Promise<void>
}

/** What a check may do at the points where code waits. */
export interface Hooks {
  /** Awaited at each point of a running call: interleavings and crashes happen here (SPEC Q8). */
  point?(): Promise<void> | void
  /** Code that does not wait can only be killed at its points: whether it is at this one. */
  isKilled?(): boolean
}
