/** Seeds that nobody tried before: of a second of this time. Small enough to be typed again. */
export const freshSeed = (nowMs: number): number => 1_000_000 + (Math.floor(nowMs / 1000) % 1_000_000_000)
