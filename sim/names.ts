/** What simulated peers, groups and addresses are called. */
/** Short strings that were parsed are kept once each: such names are compared by identity, several times as fast. */
export const peerName = (index: number): string => JSON.parse(`"P${String(index).padStart(7, '0')}"`)
export const groupName = (group: number): string => `G${group}`
export const addressOf = (index: number): string => `/sim/${index}`

/** Which peer it is; NaN for what is no name of one. Read digit by digit: no table of a million names. */
export function indexOfPeer(name: string): number {
  if (name.charCodeAt(0) !== 0x50 || name.length < 8) return Number.NaN
  let index = 0
  for (let at = 1; at < name.length; at++) {
    const digit = name.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    index = index * 10 + digit
  }
  return index
}
