/** What simulated peers, groups and addresses are called. */
export const peerName = (index: number): string => `P${String(index).padStart(7, '0')}`
export const groupName = (group: number): string => `G${group}`
export const addressOf = (index: number): string => `/sim/${index}`
