import { describeTraffic } from './support/traffic/traffic.js'

describeTraffic('agent')
