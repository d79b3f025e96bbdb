// One series over time, by uPlot. The colours are those of the theme.
import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { useTheme } from "../app/theme";

// So few points make no line.
const LONELY = 3;

export interface ChartProps {
  points: [number[], (number | null)[]];
  label: string;
  unit: string;
  range: [number, number];
}

export default function Chart({ points, label, unit, range }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  useEffect(() => {
    const element = place.current!;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const size = () => ({ width: Math.max(120, element.clientWidth), height: Math.max(80, element.clientHeight) });
    const known = points[1].filter((value) => value !== null).length;
    const plot = new uPlot(
      {
        ...size(),
        legend: { show: false },
        cursor: { y: false, points: { size: 7 } },
        scales: { y: { range: () => range } },
        axes: [axis, { ...axis, size: 46, values: (_, ticks) => ticks.map((tick) => `${tick} ${unit}`) }],
        series: [{}, { stroke: colour("--good"), width: 1.8, fill: colour("--good-soft"), points: { show: known < LONELY, size: 6 }, spanGaps: false }],
      },
      points as uPlot.AlignedData,
      element,
    );
    const watch = new ResizeObserver(() => plot.setSize(size()));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [points, unit, range[0], range[1], theme]);
  return <div className="chart" ref={place} role="img" aria-label={label} />;
}
