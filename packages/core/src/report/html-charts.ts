/**
 * The script of the page: draws what lies as JSON beside each chart with uPlot, in the colours of the
 * style, and again when the width or the reader's colour scheme changes. It makes no request.
 */
export const CHART_SCRIPT = `
(() => {
  'use strict'
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const number = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 4 })
  const day = '\\n{YYYY}-{MM}-{DD}'
  const times = [
    [31536000, '{YYYY}', null, null, null, null, null, null, 1],
    [2419200, '{MMM}', '\\n{YYYY}', null, null, null, null, null, 1],
    [86400, '{MM}-{DD}', '\\n{YYYY}', null, null, null, null, null, 1],
    [60, '{HH}:{mm}', day, null, day, null, null, null, 1],
    [1, '{HH}:{mm}:{ss}', day, null, day, null, null, null, 1],
    [0.001, ':{ss}.{fff}', day + ' {HH}:{mm}', null, day + ' {HH}:{mm}', null, '\\n{HH}:{mm}', null, 1],
  ]
  const draw = (host) => {
    const data = JSON.parse(host.nextElementSibling.textContent)
    const unit = data.unit === undefined ? '' : ' ' + data.unit
    const axis = {
      stroke: color('--faint'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { stroke: color('--line'), width: 1 },
      font: '12px system-ui, sans-serif',
    }
    const width = () => Math.max(200, host.clientWidth)
    const options = {
      width: width(),
      height: 260,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
      scales: { y: { range: (plot, low, high) => low >= 0 ? [0, high > 0 ? high * 1.08 : 1] : uPlot.rangeNum(low, high, 0.1, true) } },
      axes: [
        { ...axis, values: times },
        {
          ...axis,
          size: (plot, labels) => 16 + 7.2 * Math.max(3, ...(labels ?? []).map((text) => text.length)),
          values: (plot, splits) => splits.map((value) => number.format(value)),
        },
      ],
      series: [
        { label: 'Time', value: '{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}' },
        ...data.series.map(({ label }, index) => ({
          label,
          stroke: color('--series-' + (index + 1)),
          width: 2,
          dash: index < 4 ? undefined : [6, 4],
          points: { show: data.times.length < 40, size: 5 },
          value: (plot, value) => value == null ? '–' : number.format(value) + unit,
        })),
      ],
    }
    host.replaceChildren()
    const plot = new uPlot(options, [data.times, ...data.series.map(({ values }) => values)], host)
    return { plot, width }
  }
  for (const host of document.querySelectorAll('.chart')) {
    let drawn = draw(host)
    let known = drawn.width()
    new ResizeObserver(() => {
      if (drawn.width() === known) return
      known = drawn.width()
      drawn.plot.setSize({ width: known, height: 260 })
    }).observe(host)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      drawn.plot.destroy()
      drawn = draw(host)
    })
  }
})()
`
