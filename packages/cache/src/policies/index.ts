export { definePolicy } from './define-policy.ts'
