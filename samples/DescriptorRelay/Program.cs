using System.CommandLine;
using System.Net.Sockets;
using System.Runtime.InteropServices;

// DescriptorRelay receive /tmp/relay.sock          prints: boy, 1, hello world
// DescriptorRelay send /tmp/relay.sock hello.txt
var socket = new Argument<string>("SOCKET") { Description = "The path of the Unix socket, at most 107 bytes." };
var files = new Argument<FileInfo[]>("FILE") { Description = "The files to open and pass.", Arity = new(1, 253) };
var payload = new Option<string>("--payload") { Description = "The text to send with them.", DefaultValueFactory = _ => "boy" };
var count = new Option<int>("--count") { Description = "How many senders to wait for.", DefaultValueFactory = _ => 1 };

// Not the library's own token: a signal that comes before it knows the action to be running would end the process with the socket's file left behind.
using var stop = new CancellationTokenSource();
using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);

var send = new Command("send", "Opens files and passes the descriptors.") { socket, files, payload };
send.SetAction((args, _) => Relay.SendAsync(
    args.GetRequiredValue(socket), args.GetRequiredValue(payload), args.GetRequiredValue(files), stop.Token));

var receive = new Command("receive", "Prints the text and the files that were passed.") { socket, count };
receive.SetAction((args, _) => Relay.ReceiveAsync(args.GetRequiredValue(socket), args.GetRequiredValue(count), stop.Token));

var arguments = new RootCommand("Passes open files from one process to another over a Unix socket.") { send, receive }.Parse(args);
try
{
    return await arguments.InvokeAsync(new() { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
}
catch (SocketException error)
{
    Console.Error.WriteLine($"{arguments.GetValue(socket)}: " + error.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse => "the path is taken. Choose another, or delete it if nobody listens there any more.",
        SocketError.ConnectionRefused => "nobody listens there. Start 'receive' first.",
        SocketError.AddressNotAvailable => "no such path. Its directory must exist, and 'receive' be started before 'send'.",
        _ => error.Message,
    });
}
catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
{
    Console.Error.WriteLine(error.Message);
}
catch (OperationCanceledException)
{
    Console.Error.WriteLine("Stopped.");
}

return 1;

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}
