import { describeTraffic } from './support/traffic.js'

describeTraffic('reverse')
