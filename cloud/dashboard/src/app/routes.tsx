// The pages. The router tells React the same state with every navigation, and React keeps what it is told until that component is drawn
// (react/react#28981), which the router never has a reason for: so it is drawn now and then.
import { RouterProvider } from "@tanstack/react-router";
import { useEffect, useReducer } from "react";
import { router } from "./router";

const DRAW_EVERY = 50; // navigations

export function Routes() {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    let gone = 0;
    return router.subscribe("onResolved", () => {
      if (++gone % DRAW_EVERY === 0) draw();
    });
  }, []);
  return <RouterProvider router={router} />;
}
