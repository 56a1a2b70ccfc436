using System.Diagnostics;
using System.Text.RegularExpressions;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Tests.Support;

namespace Spectral.Embedding.Tests;

/// <summary>
/// The loop of docs/embedding.md, published trimmed and compiled ahead of time, trains, saves, and knows all methods.
/// Only in the full run: publishing takes minutes and fetches the compiler.
/// </summary>
public sealed partial class PublishedProgramTests
{
    [TestCase("PublishAot", TestName = "CompiledAheadOfTimeItTrains")]
    [TestCase("PublishTrimmed", TestName = "TrimmedItTrains")]
    public void ItTrains(string kind)
    {
        if (Environment.GetEnvironmentVariable("SPECTRAL_FULL") != "1")
            Assert.Ignore("only in the full run: ./build.sh test --full");
        if (kind == "PublishAot" && !CanLink())
            Assert.Ignore("no clang or gcc, or no zlib.h: a program cannot be compiled ahead of time here");
        string here = AppContext.BaseDirectory;
        using TemporaryFolder project = new();
        project.Write("Directory.Build.props", "<Project />");
        project.Write("Program.cs", File.ReadAllText(Path.Combine(here, "Published", "Program.cs")));
        project.Write("EmbeddingExample.cs", File.ReadAllText(Path.Combine(here, "EmbeddingExample.cs")));
        project.Write("Published.csproj", Project(kind, here));
        string published = project.File("published");
        (int code, string text) = Run("dotnet", "publish", project.Path, "-r", "linux-x64", "-o", published);
        Assert.That(code, Is.Zero, text);
        Assert.That(Warning().Matches(text).Select(match => match.Value), Is.Empty);

        using TemporaryFolder model = new();
        using (var device = Device.Cpu())
            SmallModels.Write(model, device);
        string data = model.Write(
            "data.jsonl",
            """
            {"prompt": "one two", "completion": " three"}
            {"text": "abab abab abab"}
            {"prompt": "aaa", "completion": "b"}
            """
        );
        string program = Path.Combine(published, "Published");
        (code, text) = Run(program, model.Path, data, model.File("adapter"), model.File("state.safetensors"));
        Assert.That(code, Is.Zero, text);
        Assert.That(text, Does.Contain("\nlearned\n").And.Contain("\nloaded: speclora\n"));
        IEnumerable<string> known = AdapterMethods
            .All.Where(method => method.GetType().Assembly == typeof(AdapterMethod).Assembly)
            .Select(method => method.Name);
        Assert.That(text, Does.Contain("\nmethods: " + string.Join(' ', known) + "\n"));
    }

    [GeneratedRegex(@"warning \w+:.*")]
    private static partial Regex Warning();

    private static string Project(string kind, string libraries) =>
        $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <ImplicitUsings>enable</ImplicitUsings>
                <InvariantGlobalization>true</InvariantGlobalization>
                <SelfContained>true</SelfContained>
                <TrimmerSingleWarn>false</TrimmerSingleWarn>
                <{kind}>true</{kind}>
              </PropertyGroup>
              <ItemGroup>
                <Reference Include="{libraries}/Spectral.Kernels.dll" />
                <Reference Include="{libraries}/Spectral.Training.dll" />
                <Reference Include="{libraries}/Microsoft.Extensions.Logging.Abstractions.dll" />
                <Reference Include="{libraries}/Microsoft.Extensions.DependencyInjection.Abstractions.dll" />
                <None Include="{libraries}/libspectral_*.so" CopyToPublishDirectory="PreserveNewest" />
              </ItemGroup>
            </Project>
            """;

    private static bool CanLink() =>
        (File.Exists("/usr/bin/clang") || File.Exists("/usr/bin/gcc")) && File.Exists("/usr/include/zlib.h");

    private static (int Code, string Text) Run(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, text);
    }
}
