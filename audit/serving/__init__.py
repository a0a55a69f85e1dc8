"""`audit serve`: one detector on a page and behind an HTTP interface, on this machine.

Enters: a detector, a run folder it was audited in, uploads. Leaves: pages, JSON, reports.

    limits    what an upload and a server may take
    problems  what can go wrong with a request, as RFC 9457 writes it
    guard     who may ask, and what every answer carries
    admission how much may be asked at once, and how slowly
    uploads   a request's body to bytes, in memory alone
    decoding  bytes to pixels, in confined processes (`decode_worker`)
    batching  pixels of many requests to scores, in one network's batches
    looking   an image to what is said of each face in it
    tables    a table of scores to a report, in a process of its own
    run_list  runs of a folder
    pages, endpoints, app    what is shown, what programs call, and the two put together

Why nothing of an image is written or logged: people upload faces of others. It lives in memory as long as the
request does; multipart bodies are kept from the temporary files that web frameworks make of them.
"""
