-- wrk -s: every request is an upload
wrk.method = "POST"
wrk.body = string.rep("x", 64 * 1024)
