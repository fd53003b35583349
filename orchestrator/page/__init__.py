"""`report.html`, a run on one page that needs only a browser. It uses no network and no script."""
