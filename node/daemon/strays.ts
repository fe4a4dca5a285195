/** Rejections that nobody waits for (SPEC N6): a stream of libp2p that ends while it is being closed rejects with the event of its end. */

/** The part of `process` that is used here. */
export interface Rejections {
  on(event: 'unhandledRejection', listener: (reason: unknown) => void): unknown
}

/**
 * A stream's end costs its session, never the daemon: the event was told to whoever uses the stream. Any other
 * rejection that nobody handles is a defect, and ends the process as it does by default.
 */
export function outliveStreams(rejections: Rejections, tell: (event: string) => void): void {
  rejections.on('unhandledRejection', (reason) => {
    if (!(reason instanceof Event)) throw reason
    tell(reason.type)
  })
}
