using System.CommandLine;
using System.Net.Sockets;

// DescriptorRelay receive /tmp/relay.sock          prints: boy, 1, hello world
// DescriptorRelay send /tmp/relay.sock hello.txt
var socket = new Argument<string>("SOCKET") { Description = "The path of the Unix socket, at most 107 bytes." };
var files = new Argument<FileInfo[]>("FILE") { Description = "The files to open and pass.", Arity = new(1, 253) };
var payload = new Option<string>("--payload") { Description = "The text to send with them.", DefaultValueFactory = _ => "boy" };
var count = new Option<int>("--count") { Description = "How many senders to wait for.", DefaultValueFactory = _ => 1 };

var send = new Command("send", "Opens files and passes the descriptors.") { socket, files, payload };
send.SetAction((args, cancel) => Relay.SendAsync(
    args.GetRequiredValue(socket), args.GetRequiredValue(payload), args.GetRequiredValue(files), cancel));

var receive = new Command("receive", "Prints the text and the files that were passed.") { socket, count };
receive.SetAction((args, cancel) => Relay.ReceiveAsync(args.GetRequiredValue(socket), args.GetRequiredValue(count), cancel));

var arguments = new RootCommand("Passes open files from one process to another over a Unix socket.") { send, receive }.Parse(args);
try
{
    return await arguments.InvokeAsync(new() { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromSeconds(30) });
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
