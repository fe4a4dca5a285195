/** Loaded before a daemon: its wall clock is wrong by UPSTART_TORTURE_CLOCK_MS. A daemon goes by the clock of its start (SPEC D21). */
const wrongByMs = Number(process.env['UPSTART_TORTURE_CLOCK_MS'])
const right = Date.now
Date.now = () => right() + wrongByMs
