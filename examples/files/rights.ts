/**
 * Rights of version 1, a mode (two octal digits: what the owner may, what everyone may; 4 read, 2 write, 1 execute), and
 * of version 2, an access list: name → digit, where `owner` and `everyone` always stand.
 */
export type Mode = number
export type AccessList = Record<string, number>

/** Of a new file: its owner reads and writes, everyone reads. */
export const USUAL_MODE: Mode = 0o64
/** Names in one list, at most. */
const MAX_NAMES = 64
const NAME = /^[a-z][a-z0-9-]{0,31}$/

export function checkedMode(mode: Mode): Mode {
  if (Number.isInteger(mode) && mode >= 0 && mode <= 0o77) return mode
  throw new RangeError(`a mode is from 0 to ${0o77} (octal 77): what the owner may, what everyone may`)
}

/** As it is kept: whoever is not named may nothing. */
export function checkedList(given: AccessList): AccessList {
  const names = Object.entries(given ?? {})
  const isRight = (digit: unknown) => Number.isInteger(digit) && (digit as number) >= 0 && (digit as number) <= 7
  if (names.length <= MAX_NAMES && names.every(([name, digit]) => NAME.test(name) && isRight(digit)))
    return { owner: 0, everyone: 0, ...given }
  throw new TypeError(
    `an access list has at most ${MAX_NAMES} names (owner, everyone, users), each with a digit from 0 to 7`
  )
}

export const listOf = (mode: Mode): AccessList => ({ owner: mode >> 3, everyone: mode & 7 })

/** The mode that says the same; null if none does: the list is *rich*. */
export function modeOf(list: AccessList): Mode | null {
  const { owner, everyone, ...others } = checkedList(list)
  return Object.keys(others).length > 0 ? null : (owner! << 3) | everyone!
}
