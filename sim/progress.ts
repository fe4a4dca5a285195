/** How runs go on, for whoever watches: a bar that is drawn over itself, nothing in a pipe (SPEC M29). */
import { createLogUpdate } from 'log-update'
import type { Standing } from './outcome.ts'

const BAR = 24
const REDRAWN_MS = 100

export interface Progress {
  standing(index: number, standing: Standing): void
  ended(): void
  done(): void
}

const silent: Progress = { standing: () => {}, ended: () => {}, done: () => {} }

export function progressOn(stream: NodeJS.WriteStream, runs: number): Progress {
  if (!stream.isTTY) return silent
  const draw = createLogUpdate(stream)
  const running = new Map<number, { standing: Standing; begunMs: number }>()
  let ended = 0
  let drawnMs = 0
  const redraw = () => {
    drawnMs = Date.now()
    const lines = [...running.values()].map(({ standing, begunMs }) => lineOf(standing, drawnMs - begunMs))
    draw([...lines, ...(runs > 1 ? [`${bar(ended / runs)} ${ended} of ${runs} runs`] : [])].join('\n'))
  }
  return {
    standing: (index, standing) => {
      running.set(index, { standing, begunMs: running.get(index)?.begunMs ?? Date.now() })
      if (Date.now() - drawnMs >= REDRAWN_MS) redraw()
    },
    ended: () => {
      ended += 1
      running.clear()
    },
    done: () => draw.clear()
  }
}

export function lineOf({ atMs, events, upgraded, peers, versions }: Standing, wallMs: number): string {
  const speed = Math.round((events / Math.max(1, wallMs)) * 1000).toLocaleString('en')
  const held = Object.entries(versions).map(([version, count]) => `v${version}: ${count.toLocaleString('en')}`)
  return `${bar(upgraded / peers)} ${(atMs / 1000).toFixed(1)} s simulated · ${speed} events/s · ${held.join('  ') || 'starting'}`
}

const bar = (share: number): string => {
  const full = Math.round(Math.min(1, share) * BAR)
  return `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`
}
