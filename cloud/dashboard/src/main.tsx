import "./app/arrive"; // before the router reads the address
import "@fontsource-variable/inter/wght.css";
import "./app/tokens.css";
import "./app/layout.css";
import "./ui/parts.css";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { QueryClientProvider } from "@tanstack/react-query";
import { queryClient } from "./api/queries";
import { startTheme } from "./app/theme";
import { Routes } from "./app/routes";
import { Toasts } from "./ui/toast";

// Styles that a component makes carry the number that this page's policy allows.
setNonce(document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "");
startTheme();

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <Toasts>
        <Routes />
      </Toasts>
    </QueryClientProvider>
  </StrictMode>,
);
