/** Groups to explore, with the number of states that a test looks at (SPEC P); `sim/permits/main.ts` looks at more. */
import type { Setting } from './model.ts'

const THREE = [0, 1, 2]
const FIVE = [0, 1, 2, 3, 4]
const GROWING = [THREE, [0, 1, 2, 3], FIVE]
const all = (members: readonly number[], unavailable: number) =>
  Object.fromEntries(members.map((i) => [i, unavailable]))

export const SETTINGS: readonly (Setting & { states: number })[] = [
  { title: 'three, k 1, all ask at once', rosters: [THREE], asks: all(THREE, 1), attempts: 1, states: 10_000 },
  { title: 'three, k 2, all ask at once', rosters: [THREE], asks: all(THREE, 2), attempts: 1, states: 30_000 },
  {
    title: 'three, k 1, all ask at once, earlier attempts, one gives back, one dies',
    rosters: [THREE],
    asks: all(THREE, 1),
    attempts: 2,
    changes: 1,
    deaths: 1,
    states: 30_000
  },
  { title: 'three, k 2, earlier attempts', rosters: [THREE], asks: all(THREE, 2), attempts: 2, states: 30_000 },
  {
    title: 'five, k 1, two ask, one gives back, one dies',
    rosters: [FIVE],
    asks: all([0, 1], 1),
    attempts: 1,
    changes: 1,
    deaths: 1,
    states: 30_000
  },
  {
    title: 'five, k 1, two ask, earlier attempts',
    rosters: [FIVE],
    asks: all([0, 1], 1),
    attempts: 2,
    states: 30_000
  },
  { title: 'five, k 2, three ask at once', rosters: [FIVE], asks: all(THREE, 2), attempts: 1, states: 30_000 },
  {
    title: 'five, two of k 2 and one of k 1 ask',
    rosters: [FIVE],
    asks: { 0: 2, 1: 2, 2: 1 },
    attempts: 1,
    states: 30_000
  },
  {
    title: 'three grow to four, two ask',
    rosters: GROWING.slice(0, 2),
    asks: all([0, 1], 1),
    attempts: 1,
    states: 30_000
  },
  {
    title: 'three grow to five, two of the three ask',
    rosters: GROWING,
    asks: all([0, 1], 1),
    attempts: 1,
    states: 20_000
  },
  {
    title: 'three grow to five, an old and a new one ask',
    rosters: GROWING,
    asks: all([0, 4], 1),
    attempts: 1,
    states: 20_000
  },
  {
    title: 'three grow to five, k 2, three ask',
    rosters: GROWING,
    asks: all([0, 1, 4], 2),
    attempts: 1,
    states: 15_000
  }
]

/** For long random histories: what does not fit into an exploration. */
export const WALKS: readonly Setting[] = [
  { title: 'three, k 1', rosters: [THREE], asks: all(THREE, 1), attempts: 30, rounds: 3, changes: 3, deaths: 1 },
  { title: 'five, k 1', rosters: [FIVE], asks: all(FIVE, 1), attempts: 30, rounds: 2, changes: 3, deaths: 1 },
  { title: 'five, k 2', rosters: [FIVE], asks: all(FIVE, 2), attempts: 30, rounds: 2, changes: 3, deaths: 2 },
  { title: 'three grow to five', rosters: GROWING, asks: all(FIVE, 1), attempts: 30, rounds: 2, changes: 2, deaths: 1 },
  {
    title: 'three are replaced by three others in three changes',
    rosters: [THREE, [1, 2, 3], [2, 3, 4], [3, 4, 5]],
    asks: all([0, 1, 2, 3, 4, 5], 1),
    attempts: 30,
    rounds: 2
  },
  {
    title: 'three are replaced by two others and one, at once',
    rosters: [THREE, [2, 3, 4]],
    asks: all(FIVE, 1),
    attempts: 30,
    rounds: 2
  }
]
