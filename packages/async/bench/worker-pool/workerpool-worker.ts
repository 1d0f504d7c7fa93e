import workerpool from 'workerpool'
import { addPair } from './tasks.ts'

workerpool.worker({ addPair })
