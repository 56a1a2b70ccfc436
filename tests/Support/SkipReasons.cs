using Microsoft.Testing.Platform.Builder;
using Microsoft.Testing.Platform.Extensions;
using Microsoft.Testing.Platform.Extensions.Messages;
using Microsoft.Testing.Platform.Extensions.OutputDevice;
using Microsoft.Testing.Platform.Extensions.TestHost;
using Microsoft.Testing.Platform.OutputDevice;
using Microsoft.Testing.Platform.Services;

namespace Spectral.Tests.Support;

/// <summary>Counts skipped tests by their reason and prints one line for each reason at the end of a run.</summary>
public sealed class SkipReasons(IOutputDevice output)
    : IDataConsumer,
        ITestSessionLifetimeHandler,
        IOutputDeviceDataProducer
{
    /// <summary>What NUnit writes before the reason when a whole fixture is skipped.</summary>
    private static readonly string[] Prefixes = ["OneTimeSetUp:", "SetUp :", "SetUp:"];

    private readonly Dictionary<string, int> _counts = [];

    public string Uid => nameof(SkipReasons);

    public string Version => "1.0";

    public string DisplayName => "Skip reasons";

    public string Description => "Counts skipped tests by their reason.";

    public Type[] DataTypesConsumed => [typeof(TestNodeUpdateMessage)];

    /// <summary>Adds the extension to a test program; called by the entry point that the build generates.</summary>
    public static void AddExtensions(ITestApplicationBuilder builder, string[] arguments)
    {
        var factory = new CompositeExtensionFactory<SkipReasons>(services => new SkipReasons(
            services.GetOutputDevice()
        ));
        builder.TestHost.AddDataConsumer(factory);
        builder.TestHost.AddTestSessionLifetimeHandler(factory);
    }

    public Task<bool> IsEnabledAsync() => Task.FromResult(true);

    public Task OnTestSessionStartingAsync(ITestSessionContext context) => Task.CompletedTask;

    public Task ConsumeAsync(IDataProducer dataProducer, IData value, CancellationToken cancellationToken)
    {
        PropertyBag properties = ((TestNodeUpdateMessage)value).TestNode.Properties;
        if (properties.SingleOrDefault<SkippedTestNodeStateProperty>() is { } skipped)
        {
            string reason = Reason(skipped.Explanation);
            _counts[reason] = _counts.GetValueOrDefault(reason) + 1;
        }
        return Task.CompletedTask;
    }

    public async Task OnTestSessionFinishingAsync(ITestSessionContext context)
    {
        foreach ((string reason, int count) in _counts.OrderByDescending(entry => entry.Value))
        {
            var line = new TextOutputDeviceData($"  {count} skipped, {reason}");
            await output.DisplayAsync(this, line, context.CancellationToken);
        }
    }

    private static string Reason(string? explanation)
    {
        string reason = (explanation ?? "no reason given").Trim();
        while (Array.Find(Prefixes, prefix => reason.StartsWith(prefix, StringComparison.Ordinal)) is { } prefix)
            reason = reason[prefix.Length..].TrimStart();
        return reason;
    }
}
