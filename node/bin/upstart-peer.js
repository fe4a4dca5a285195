#!/usr/bin/env node
import { start } from './start.js'

start('upstart-peer', 'daemon/main')
