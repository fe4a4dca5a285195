/** What authors of objects, simulation objects, transform functions and upgrades import from 'upstart-peer'. */
export { CallError, type CallErrorName, Refusal, type RefusalName } from './errors.ts'
export {
  after,
  all,
  any,
  at,
  byLabel,
  canary,
  type Duration,
  deadline,
  gradual,
  immediately,
  manual,
  never,
  not,
  rolling,
  sequence,
  where,
  window
} from './schedule/combinators.ts'
export type { Condition, Constraint, Schedule } from './schedule/schedule.ts'
export {
  defineUpgrade,
  type FirstUpgrade,
  type LaterUpgrade,
  type NewClass,
  type ReplacingClass,
  type UpgradeDefinition
} from './upgrade/define.ts'
export type { Interface, Manifest, MethodDeclaration } from './upgrade/manifest.ts'
export type * from './versions/types.ts'
